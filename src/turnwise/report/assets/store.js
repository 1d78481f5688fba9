// The data of the page: compressed blocks, opened when they are wanted.
const store = (() => {
  const opened = new Map();
  const most = 12;
  async function unpack(id) {
    const packed = document.getElementById(id).textContent;
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }
  function block(number) {
    if (!opened.has(number)) {
      if (opened.size >= most) opened.delete(opened.keys().next().value);
      opened.set(number, unpack("block-" + number));
    }
    return opened.get(number);
  }
  return { unpack, block };
})();

// Elements are made of text only: nothing from the data is ever read as markup.
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return made;
}
