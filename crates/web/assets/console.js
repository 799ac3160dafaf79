// What pages can't do alone: times in the reader's zone, copying, and no form twice. Without it every page works.
(() => {
  const minute = 60000;
  const relative = (at) => {
    const past = Date.now() - at, s = Math.floor(Math.abs(past) / 1000);
    const [n, unit] = s < 1 ? [0, ""] : s < 60 ? [s, "s"] : s < 3600 ? [Math.floor(s / 60), "min"]
      : s < 172800 ? [Math.floor(s / 3600), "h"] : [Math.floor(s / 86400), "days"];
    return !unit ? "now" : past > 0 ? `${n} ${unit} ago` : `in ${n} ${unit}`;
  };
  const times = [...document.querySelectorAll("time[datetime]")];
  const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
  const hour = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  for (const time of times) {
    const text = full.format(new Date(time.dateTime));
    time.title = text;
    if (time.className) time.textContent = (time.className === "hour" ? hour : full).format(new Date(time.dateTime));
  }
  const refresh = () => {
    for (const time of times) {
      if (!time.className) time.textContent = relative(Date.parse(time.dateTime));
    }
  };
  refresh();
  setInterval(refresh, minute / 2);

  for (const zone of document.querySelectorAll("input[name=zone]")) {
    const own = String(new Date().getTimezoneOffset());
    const fields = [...zone.form.querySelectorAll("input[type=datetime-local]")];
    for (const field of fields) {
      // The page shows UTC where nothing else was asked for.
      const at = Date.parse(field.value + "Z") + Number(zone.value) * minute;
      if (at && zone.value !== own) field.value = new Date(at - Number(own) * minute).toISOString().slice(0, 16);
    }
    zone.value = own;
    for (const name of zone.form.querySelectorAll(".zone")) name.textContent = "your time";
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }

  document.addEventListener("submit", (event) => {
    const { target: form } = event;
    if (form.dataset.sent) event.preventDefault();
    else if (form.method === "post") form.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
})();
