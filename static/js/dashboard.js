/** <lobby-dashboard>: the figures as they are right now, said on its topic every few seconds while somebody looks. */

import { fragment } from "./api.js";
import "./charts.js";
import { live } from "./live.js";
import { morph } from "./morph.js";

class LobbyDashboard extends HTMLElement {
  #isAttached = false;

  connectedCallback() {
    this.#show(this.querySelector('[data-part="figures"]'));
    live.attach(this.dataset.topic, (event) => {
      if (event.html) this.#heard(event.html);
      const hasMissed = event.type === "snapshot" && this.#isAttached;
      if (event.type === "alerts" || hasMissed) this.#renewAlerts();
      this.#isAttached = true;
    });
  }

  disconnectedCallback() {
    live.detach(this.dataset.topic);
  }

  #heard(html) {
    const old = this.querySelector('[data-part="figures"]');
    const fresh = old.cloneNode();
    fresh.innerHTML = html; // rendered by our server's templates, which escape every name
    this.#show(fresh);
    morph(old, fresh);
  }

  async #renewAlerts() {
    try {
      this.querySelector('[data-part="alerts"]').replaceChildren(await fragment(this.dataset.alerts));
    } catch {
      // the next alert, or the next visit, brings them
    }
  }

  /** The rows behind the figures are in the admin, where not everybody gets in who may see these. */
  #show(part) {
    if ("withoutLinks" in this.dataset) for (const link of part.querySelectorAll("a")) link.removeAttribute("href");
  }
}

customElements.define("lobby-dashboard", LobbyDashboard);
