"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const column = [...head.parentNode.children].indexOf(head);
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const key = row => row.children[column].dataset.key;
    const known = (a, b) => isNaN(a) || isNaN(b)
      ? a.localeCompare(b, undefined, { numeric: true }) : Number(a) - Number(b);
    const order = (a, b) => key(a) === "" || key(b) === ""
      ? (key(a) === "") - (key(b) === "") : (falling ? -1 : 1) * known(key(a), key(b));
    body.append(...[...body.rows].sort(order));
  });
}
