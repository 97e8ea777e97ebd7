// Shows one slide of a deck at a time. Its number stands in the address, so a reload stays there.
const slides = [...document.querySelectorAll("section")];
const speech = new URLSearchParams(location.search).has("notes");  // the speaker's own window
let current = 0;
let speaker = null;

function show(number) {
  current = Math.max(0, Math.min(number, slides.length - 1));
  slides.forEach((slide, i) => slide.classList.toggle("present", i === current));
  document.getElementById("notes").innerHTML = slides[current].querySelector(".notes").innerHTML;
  history.replaceState(null, "", `#${current + 1}`);
  if (speaker && !speaker.closed) speaker.location.replace(`${location.href.split(/[?#]/)[0]}?notes#${current + 1}`);
}

// On or back by a slide; sources, which stand below others, are passed over.
function pass(step) {
  let number = current + step;
  while (slides[number] && "below" in slides[number].dataset) number += step;
  if (slides[number]) show(number);
}

function scale() {
  const width = innerWidth * (document.body.classList.contains("spoken") ? 0.7 : 1);
  document.body.style.setProperty("--scale", Math.min(width / 1280, innerHeight / 720));
}

function toggle(name) {
  document.body.classList.toggle(name);
  scale();
}

const on = () => show(current + 1);
const back = () => show(current - 1);
const keys = {
  ArrowRight: () => pass(1), ArrowLeft: () => pass(-1),
  ArrowDown: on, PageDown: on, " ": on, ArrowUp: back, PageUp: back,
  Home: () => show(0), End: () => show(slides.length - 1),
  f: () => document.documentElement.requestFullscreen(),
  n: () => toggle("spoken"), o: () => toggle("overview"),
  s: () => { speaker = open(`?notes#${current + 1}`, "speaker", "width=1100,height=700"); },
};
addEventListener("keydown", event => {
  if (event.target !== document.body) {  // a slider has its keys; these leave it
    if (!["Escape", "PageUp", "PageDown"].includes(event.key)) return;
    event.target.blur();
  }
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  keys[event.key]();
  event.preventDefault();
});
for (const control of document.querySelectorAll("button, [type=range]"))
  control.addEventListener("pointerup", () => control.blur());
const [left, right] = document.querySelectorAll("nav button");
left.addEventListener("click", back);
right.addEventListener("click", on);
slides.forEach((slide, i) => slide.addEventListener("click", () => {
  if (!document.body.classList.contains("overview")) return;
  show(i);
  toggle("overview");
}));
addEventListener("resize", scale);
addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1));

for (const slide of slides) {  // smaller letters until everything is on the slide
  slide.classList.add("present");
  const body = slide.querySelector(".body");
  let size = 32;
  while (size > 12 && (body.scrollHeight > body.clientHeight || body.scrollWidth > body.clientWidth))
    body.style.fontSize = `${--size}px`;
  slide.classList.remove("present");
}
if (speech) document.body.classList.add("spoken");
scale();
show(Number(location.hash.slice(1) || 1) - 1);
