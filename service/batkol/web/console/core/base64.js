/** Base64 as media messages and WebSocket subprotocols have it (RFC 4648, sections 4 and 5). */

/** Return bytes as base64. */
export function encode(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return btoa(text);
}

/** Return base64 as bytes. Throws for what is none. */
export function decode(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Return a text, as UTF-8, in base64url without padding: a subprotocol has no other letters. */
export function urlEncode(text) {
  return encode(new TextEncoder().encode(text)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
