/** The token of this tab. It is kept for the tab alone, and never stands in an address. */

const KEY = "batkol.token";

export const session = {
  get token() {
    return sessionStorage.getItem(KEY) ?? "";
  },
  set token(value) {
    if (value) {
      sessionStorage.setItem(KEY, value);
    } else {
      sessionStorage.removeItem(KEY);
    }
  },
};
