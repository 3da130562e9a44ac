/**
 * Why a call is over, in words. The keys are the reasons of `call.ended` and of the history, and those with which the
 * phone's socket is closed; a test holds them to the service's.
 */

/** Reason -> [a few words for a list, a sentence]. */
const ENDINGS = {
  stop: ["caller hung up", "The caller hung up."],
  closed: ["connection closed", "The caller’s side closed the connection."],
  dropped: ["connection lost", "The connection to the caller’s side broke."],
  replaced: ["newer stream", "A newer stream of the call took over."],
  drained: ["pod drained", "The pod drained, and the call moved to another pod."],
  pod_left: ["pod drained", "The pod drained, and the call ended with it."],
  refused: ["refused", "The other side did not speak Twilio’s protocol, so the service closed the call."],
  error: ["service failed", "The call ended by a fault of the service; its log has the line."],
  transferred: ["transferred", "The caller was transferred to another number."],
  hung_up: ["agent hung up", "The agent hung up, or a person or program did by the console or the API."],
  longest_call: ["time limit", "The call reached its longest time."],
  tokens_spent: ["token limit", "The call spent its tokens."],
  minutes_spent: ["minute limit", "The call spent its minutes."],
  characters_spent: ["voice limit", "The call spent its characters of voice."],
  peer_timeout: ["no sign of life", "The service heard nothing of the caller’s side for too long."],
  flooded: ["too much came", "The caller’s side sent more than a phone call has, so the service closed the call."],
  completed: ["over, by Twilio", "Twilio says that the call is over; no pod recorded why."],
  busy: ["busy", "The line was busy."],
  failed: ["failed", "Twilio could not connect the call."],
  "no-answer": ["no answer", "The call was not answered."],
  canceled: ["canceled", "The call was canceled before it was answered."],
  lost: ["end unknown", "Nothing more was heard of the call; how it ended is not known."],
  unknown: ["end unknown", "No pod has the call any more; how it ended is not known."],
};

/** What the person at the phone reads, where that is more or other than of any call. */
const AT_THE_PHONE = {
  stop: "The call is over.",
  transferred: "The agent transferred the call. A call from the page cannot be transferred: it ends.",
  peer_timeout: "The service heard nothing of this page for too long. Call again.",
  pod_left: "The pod drained, and the call ended with it. Call again.",
  drained: "The pod drained, and the call ended with it. Call again.",
  error: "The call ended by a fault of the service; its log has the line. Call again.",
  refused: "The service could not read what this page sent. Reload the page, and call again.",
  flooded: "This page sent more than a phone call has. Reload the page, and call again.",
  draining: "This pod takes no new call: it drains. Call again in a moment.",
  full: "Every place of this pod is taken. Call again in a moment.",
  duplicate: "The service has this call already. Call again.",
  agent: "This service has another agent. Reload the page.",
  answerer: "This service has no such answerer any more. Reload the page, and choose again.",
  voice: "This service has no such voice any more. Reload the page, and choose again.",
  parameters: "A number is too long, or has a character that no number has.",
  sids: "The page began another call than the service offered. Reload the page, and call again.",
  no_start: "The page did not begin the call in time. Call again.",
  protocol: "The service could not read what this page sent. Reload the page, and call again.",
};

/** Return a few words for a row of a list. */
export function endedShortly(reason) {
  return ENDINGS[reason]?.[0] ?? reason;
}

/** Return a sentence. A reason of a newer service stands in it as it is. */
export function endedBecause(reason) {
  return ENDINGS[reason]?.[1] ?? `The call ended: ${reason}.`;
}

/** Return why the phone's socket was closed, as a sentence for the person who called. */
export function hungUpBecause(code, reason, wasUp) {
  const known = AT_THE_PHONE[reason] ?? ENDINGS[reason]?.[1];
  if (known) {
    return known;
  }
  if (!wasUp) {
    return "The service refused the call, or does not answer. The token needs the right `line`; and there may be too many phones at once: call again in a moment.";
  }
  return code === 1000 ? "The call is over." : `The connection broke (${code}${reason ? `, ${reason}` : ""}). Call again.`;
}
