import { live } from "./live.js";
import "./board.js";
import "./menu.js";
import "./toasts.js";
import "./theme-switch.js";
import "./connection.js";
import "./shortcuts.js";
import "./sidebar.js";
import "./composer.js";
import "./reply.js";
import "./thread.js";
import "./use.js";
import { localTimes } from "./words.js";

localTimes(document);
if (document.body.dataset.ws) live.start(document.body.dataset.ws);
