/** Saving a file: the request needs a header, which a link does not send. */

import { el } from "./dom.js";

/** Read the file and have the browser save it. Raises `ApiError`. */
export async function save(client, path, name) {
  const response = await client.open(path);
  const url = URL.createObjectURL(await response.blob());
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
