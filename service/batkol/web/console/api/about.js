/** What the service says of itself, of this token and of its pods. */

/** Return the status of the pod that answers, with what the phone and the links need. Raises `ApiError`. */
export async function about(client) {
  return client.get("/v1/console");
}

/** Return the rights of this token. */
export function rights({ may = [] }) {
  return new Set(may);
}

/** Return the address of a trace, or null where the service knows no place that shows traces. */
export function traceAddress({ trace_url: pattern }, id) {
  return pattern ? pattern.replace("{trace_id}", encodeURIComponent(id)) : null;
}

/** Return `[{pod, reachable, why, status}]` of all pods. Raises `ApiError`. */
export async function podStatuses(client) {
  const { pods } = await client.get("/v1/status", { scope: "fleet" });
  return pods;
}
