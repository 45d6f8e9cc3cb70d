// Moves the explorers of a lesson, which were drawn ahead in many of their states.
//
// Each <section class="explorer"> contains its controls and, as JSON, its frames: the place of each
// control, the picture's file and the numbers in words. `table` gives the number of the frame for
// each combination of places, the last control fastest. Without this script, the controls stay
// hidden and the first picture is shown.

"use strict";

class Explorer {
  constructor(section, states) {
    Object.assign(this, states);
    this.folder = section.dataset.frames;
    this.image = section.querySelector("img");
    this.words = section.querySelector(".explorer-words");
    this.controls = [...section.querySelectorAll("input, select")];
    for (const control of this.controls) control.addEventListener("input", () => this.show());
    section.addEventListener("pointerenter", () => this.load(), { once: true });
    section.addEventListener("focusin", () => this.load(), { once: true });
    section.querySelector(".explorer-controls").hidden = this.controls.length === 0;
    section.dataset.ready = "";
  }

  // How many values a control has.
  count(control) {
    return control.options?.length ?? Number(control.max) + 1;
  }

  // Show the frame for the controls, and set these to what it shows.
  show() {
    let place = 0;
    for (const control of this.controls) {
      place = place * this.count(control) + Number(control.value);
    }
    const frame = this.frames[this.table[place]];
    this.controls.forEach((control, i) => {
      control.value = frame.places[i];
      if (control.type !== "range") return;
      const text = JSON.parse(control.dataset.texts)[frame.places[i]];
      control.setAttribute("aria-valuetext", text);
      control.nextElementSibling.textContent = text;
    });
    this.image.src = `${this.folder}/${frame.file}`;
    this.words.innerHTML = frame.words;
    this.image.alt = this.words.textContent;
  }

  // Fetch all pictures, so that none has to be waited for while a control moves.
  load() {
    for (const { file } of this.frames) new Image().src = `${this.folder}/${file}`;
  }
}

for (const section of document.querySelectorAll(".explorer")) {
  const states = section.querySelector(".explorer-states");
  if (states) new Explorer(section, JSON.parse(states.textContent));
}
