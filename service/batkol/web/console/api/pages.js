/**
 * The pages of a search, one after another. What an older search still brings is dropped, and a page that is on its
 * way is not asked for again.
 *
 * `on` gets `looking()`, `page(page)`, `failed(sentence)`, and `more(isThere)` after each page.
 */

export class Pages {
  #client;
  #path;
  #on;
  #next = null;
  #reading = null; // the search of which a page is on its way

  constructor(client, path, on) {
    this.#client = client;
    this.#path = path;
    this.#on = on;
    this.asked = {}; // the parameters of the search
  }

  /** Begin a search, and read its first page. */
  async search(asked) {
    this.asked = asked;
    this.#next = null;
    await this.read();
  }

  /** Read the next page. */
  async read() {
    const asked = this.asked;
    if (this.#reading === asked) {
      return; // pressed twice
    }
    this.#reading = asked;
    this.#on.looking?.();
    try {
      const page = await this.#client.get(this.#path, { ...asked, ...(this.#next ? { cursor: this.#next } : {}) });
      if (asked !== this.asked) {
        return; // another search has begun
      }
      this.#next = page.next;
      this.#on.page(page);
    } catch (error) {
      if (asked !== this.asked) {
        return;
      }
      this.#on.failed(error.message);
    }
    this.#reading = null;
    this.#on.more(this.#next !== null);
  }
}
