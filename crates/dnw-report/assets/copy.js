// Text with a button that copies it.

import { setText } from "./elements.js";

export function copyable(place, button, text) {
  setText(place, text);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Some browsers do not allow pages opened from disk to use the clipboard; a selection can always be copied.
      getSelection().selectAllChildren(place);
      document.execCommand("copy");
    }
    setText(button, "Copied");
    setTimeout(() => setText(button, "Copy"), 1600);
  });
}
