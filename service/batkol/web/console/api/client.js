/** Requests to the internal API with the token of this tab. */

/** An answer that is an error, or no answer. `status` is 0 if the service did not answer. */
export class ApiError extends Error {
  constructor(status, message, retryAfterS = null) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

export class Client {
  #session;

  constructor(session) {
    this.#session = session;
  }

  /** Return the JSON of an answer. Raises `ApiError`. */
  async get(path, parameters = {}, signal = undefined) {
    return (await this.open(address(path, parameters), { signal })).json();
  }

  async post(path, body = undefined) {
    return (await this.open(path, sent("POST", body))).json();
  }

  async patch(path, body) {
    return (await this.open(path, sent("PATCH", body))).json();
  }

  /** Return a response with a good status, whose body is still to be read. Raises `ApiError`. */
  async open(path, { headers = {}, ...options } = {}) {
    const token = this.#session.token;
    const authorization = token ? { Authorization: `Bearer ${token}` } : {};
    let response;
    try {
      response = await fetch(path, { cache: "no-store", ...options, headers: { ...headers, ...authorization } });
    } catch (error) {
      if (error.name === "AbortError") {
        throw error;
      }
      throw new ApiError(0, "The service does not answer.");
    }
    if (!response.ok) {
      throw new ApiError(response.status, await detail(response), Number(response.headers.get("Retry-After")) || null);
    }
    return response;
  }
}

/** Return the path with the parameters that have a value. */
export function address(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== "" && value !== null));
  return query.size ? `${path}?${query}` : path;
}

function sent(method, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  return { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
}

async function detail(response) {
  try {
    const { detail } = await response.json();
    return typeof detail === "string" ? detail : JSON.stringify(detail);
  } catch {
    return `The service answered with status ${response.status}.`;
  }
}
