// Shows of each widget the frame that belongs to the positions of its controls.
for (const widget of document.querySelectorAll(".moving")) {
  const controls = [...widget.querySelectorAll("input, select")];
  const frames = [...widget.querySelectorAll(".frame")];
  const show = () => {
    let current = 0;
    for (const control of controls) {
      const labels = JSON.parse(control.dataset.labels);
      const position = Number(control.type === "checkbox" ? control.checked : control.value);
      current = current * labels.length + position;
      if (control.type === "range") {
        control.setAttribute("aria-valuetext", labels[position]);
        control.nextElementSibling.value = labels[position];
      }
    }
    frames.forEach((frame, number) => { frame.hidden = number !== current; });
  };
  widget.addEventListener("input", show);
  show();

  // A widget's first slider can play: from where it stands, or from its start, to its end.
  const play = widget.querySelector(".play");
  if (!play) continue;
  const slider = play.previousElementSibling.querySelector("input");
  let timer = 0;
  const pause = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "▶ play";
  };
  play.addEventListener("click", () => {
    if (timer) return pause();
    if (slider.value === slider.max) slider.value = slider.min;
    play.textContent = "⏸ pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      if (slider.value === slider.max) pause();
      show();
    }, 500);
  });
}
