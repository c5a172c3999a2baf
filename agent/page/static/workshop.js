// Follows a check-up that is under way: reads the page again, swaps the parts that change, and says how it came out.

const EVERY = 700; // ms between looks

function follow() {
  const part = document.getElementById("poll");
  if (part?.dataset.running) setTimeout(look, EVERY);
}

async function look() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["poll", "onward"]) {
        const [fresh, part] = [page.getElementById(id), document.getElementById(id)];
        if (fresh && part && fresh.outerHTML !== part.outerHTML) part.replaceWith(fresh);
      }
      const poll = document.getElementById("poll");
      if (!poll.dataset.running) document.getElementById("news").textContent = poll.querySelector("h2")?.textContent ?? "";
    }
  } catch {
    // the phone is being started again, or the network changed: the next look tells
  }
  follow();
}

follow();
// a download leaves the page where it is: its button works again
for (const form of document.querySelectorAll("form[data-download]")) {
  form.addEventListener("submit", () => setTimeout(() => { delete form.dataset.sent; form.querySelector("button").removeAttribute("aria-busy"); }, 3000));
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
