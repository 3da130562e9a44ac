/** The microphone and the loudspeaker of the phone: devices, the audio graph, levels. */

const WORKLET = new URL("worklet.js", import.meta.url);

/** Why there is no microphone, as a sentence that says what to do. */
export function microphoneError(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The browser gave no microphone: allow it for this address, and call again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "There is no such microphone. Connect one, or choose another.";
    case "NotReadableError":
      return "Another program has the microphone. Close that program, and call again.";
    default:
      return `The microphone does not work (${error.name}).`;
  }
}

/** Whether this page may have a microphone at all: browsers give it to https and to this machine alone. */
export function hasMicrophones() {
  return Boolean(navigator.mediaDevices?.getUserMedia) && "AudioWorkletNode" in window;
}

/** Return the devices as `{microphones, speakers}` of `{id, label}`. They have names once a microphone was allowed. */
export async function devices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  const of = (kind) => all.filter((each) => each.kind === kind && each.deviceId).map((each) => ({ id: each.deviceId, label: each.label }));
  return { microphones: of("audioinput"), speakers: of("audiooutput") };
}

export class Sound {
  #context;
  #stream;
  #microphone;
  #ear;

  /** `on` gets `frame(mulaw)`, `played(names)`, `levels({microphone, ear})`. */
  constructor(on) {
    this.on = on;
  }

  /** Open the devices. Raises the browser's error, and leaves nothing open. */
  async open({ microphone, speaker, echoCancellation }) {
    this.#context = new AudioContext({ latencyHint: "interactive" });
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: constraints(microphone, echoCancellation) });
      await this.#context.audioWorklet.addModule(WORKLET);
      if (speaker && this.#context.setSinkId) {
        await this.#context.setSinkId(speaker);
      }
      this.#connect();
      await this.#context.resume();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  mute(muted) {
    this.#microphone?.port.postMessage({ muted });
  }

  play(mulaw) {
    this.#ear.port.postMessage({ media: mulaw }, [mulaw.buffer]);
  }

  mark(name) {
    this.#ear.port.postMessage({ mark: name });
  }

  clear() {
    this.#ear.port.postMessage({ clear: true });
  }

  /** Let samples at 8 kHz go into the call in the microphone's place. */
  say(samples) {
    this.#microphone.port.postMessage({ say: samples }, [samples.buffer]);
  }

  async close() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    if (this.#context && this.#context.state !== "closed") {
      await this.#context.close();
    }
  }

  #connect() {
    const context = this.#context;
    const input = context.createMediaStreamSource(this.#stream);
    this.#microphone = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.#ear = new AudioWorkletNode(context, "ear", { numberOfInputs: 0, outputChannelCount: [2] });
    input.connect(this.#microphone);
    this.#ear.connect(context.destination);
    this.#ear.port.postMessage({ latency: (context.outputLatency || 0) + (context.baseLatency || 0) });
    this.#microphone.port.onmessage = ({ data: { frame, level } }) => {
      this.on.frame(frame);
      if (level !== null) {
        this.on.levels({ microphone: level });
      }
    };
    this.#ear.port.onmessage = ({ data: { played, level } }) => {
      if (played) {
        this.on.played(played);
      } else {
        this.on.levels({ ear: level });
        this.#ear.port.postMessage({ latency: (context.outputLatency || 0) + (context.baseLatency || 0) });
      }
    };
  }
}

/** The service has a detector and a recognizer of its own: nothing but the echo is taken out here. */
function constraints(microphone, echoCancellation) {
  return {
    deviceId: microphone ? { exact: microphone } : undefined,
    echoCancellation,
    noiseSuppression: false,
    autoGainControl: false,
    channelCount: 1,
  };
}
