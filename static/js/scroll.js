/** Keeps the newest text in sight until the reader scrolls away, and lets the reader come back. */

const NEAR = 32; // pixels from the end that still count as the end

export class ScrollPin {
  #last = 0;

  constructor(scroller, content, button) {
    Object.assign(this, { scroller, content, button, pinned: true });
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("wheel", ({ deltaY }) => deltaY < 0 && this.#letGo(), { passive: true });
    scroller.addEventListener("touchmove", () => this.#letGo(), { passive: true });
    scroller.addEventListener("keydown", ({ key }) => /^(PageUp|Home|ArrowUp)$/.test(key) && this.#letGo());
    button.addEventListener("click", () => this.toEnd());
    const resized = new ResizeObserver(() => this.#grown());
    resized.observe(content);
    resized.observe(scroller);
    this.toEnd();
  }

  toEnd() {
    this.pinned = true;
    this.#follow();
  }

  /** Change the content without what is being read moving. */
  holding(change, anchor = this.#firstInSight()) {
    const top = anchor?.getBoundingClientRect().top;
    change();
    if (this.pinned) return this.#follow();
    if (anchor?.isConnected) this.scroller.scrollTop += anchor.getBoundingClientRect().top - top;
    this.#last = this.scroller.scrollTop;
  }

  get #distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  #firstInSight() {
    const edge = this.scroller.getBoundingClientRect().top;
    return [...this.content.children].find((child) => child.getBoundingClientRect().bottom > edge);
  }

  #follow() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#last = this.scroller.scrollTop;
    this.button.hidden = true;
  }

  #grown() {
    if (this.pinned) this.#follow();
    else this.button.hidden = this.#distance < NEAR * 4;
  }

  #scrolled() {
    const { scrollTop } = this.scroller;
    if (scrollTop < this.#last - 1) this.pinned = false;
    if (this.#distance < NEAR && scrollTop >= this.#last) this.pinned = true;
    this.#last = scrollTop;
    this.button.hidden = this.pinned || this.#distance < NEAR * 4;
  }

  #letGo() {
    if (this.scroller.scrollHeight > this.scroller.clientHeight) this.pinned = false;
  }
}
