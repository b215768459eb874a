// The dependency graph: what did not change is collapsed, dagre lays out the rest, and pointer or keyboard move about in it.
(() => {
  'use strict';
  const host = document.getElementById('graph-view');
  if (!host || typeof dagre === 'undefined') return;
  const SVG = 'http://www.w3.org/2000/svg';
  const { nodes, edges } = JSON.parse(document.getElementById('graph-data').textContent);
  const byId = (id) => document.getElementById(id);
  const svg = byId('graph-svg');
  const [facts, status, search, unchanged] = ['graph-facts', 'graph-status', 'graph-search', 'graph-unchanged'].map(byId);
  const draw = (tag, attributes, parent, text) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const make = (tag, parent, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    parent.append(element);
    return element;
  };
  byId('graph-tools').hidden = false;
  host.hidden = false;
  byId('graph-without')?.remove();

  const READABLE = 0.75; // Scale below which names cannot be read.
  const FEW = 16; // Services that are shown in any case.
  const CHANGED = 24; // New and gone services beyond which only those with a part of their own are shown.
  const LOOP = 26; // Height of a call of a service to itself.
  const LEGIBLE = 0.64; // Scale below which names are smaller than 6 points on paper.
  const PAPER = { width: 690, height: 370 }; // Room for the picture on A4, in pixels of the style.
  const MANY = 45; // Boxes from which on all that is collapsed becomes one.
  const expanded = new Set();
  const level = nodes.filter((node) => node.changed > 0).length > CHANGED ? 2 : 1;
  let view = { x: 0, y: 0, k: 1 };
  let boxes = [];
  let selected = null;
  let current = null;
  const world = draw('g', {}, svg);

  /** Boxes and lines to draw: single services, and groups of those that did not change. */
  function visible() {
    const isKept = nodes.map((node, id) => unchanged.checked || node.changed >= level || expanded.has(id));
    const neighbours = nodes.map(() => new Set());
    for (const { from, to } of edges) { neighbours[from].add(to); neighbours[to].add(from); }
    const group = new Array(nodes.length).fill(-1);
    const members = new Map();
    const join = (key, ids) => members.set(key, (members.get(key) ?? []).concat(ids));
    for (let start = 0; start < nodes.length; start += 1) {
      if (isKept[start] || group[start] >= 0) continue;
      // Those that hang together without passing a service that is shown.
      const [part, border, open] = [[], new Set(), [start]];
      group[start] = start;
      while (open.length) {
        const id = open.pop();
        part.push(id);
        for (const next of neighbours[id]) {
          if (isKept[next]) border.add(next);
          else if (group[next] < 0 && nodes[next].status === nodes[start].status) { group[next] = start; open.push(next); }
        }
      }
      join(`${nodes[start].status} ${[...border].sort((a, b) => a - b).join(' ')}`, part);
    }
    let groups = [...members.values()];
    if (isKept.filter(Boolean).length + groups.length > MANY && groups.length > 3) {
      groups = ['both', 'new', 'gone'].map((word) => groups.flat().filter((id) => nodes[id].status === word)).filter((ids) => ids.length);
    }
    const shown = nodes.map((node, id) => ({ ...node, key: `s${id}`, id, members: [id] })).filter((node) => isKept[node.id]);
    for (const ids of groups) {
      if (ids.length === 1) shown.push({ ...nodes[ids[0]], key: `s${ids[0]}`, id: ids[0], members: ids });
      else shown.push(grouped(ids));
    }
    const place = new Map();
    shown.forEach((box) => box.members.forEach((id) => place.set(id, box.key)));
    const lines = new Map();
    for (const edge of edges) {
      const [from, to] = [place.get(edge.from), place.get(edge.to)];
      if (from === to && nodes.length > 1 && edge.from !== edge.to) continue;
      const key = `${from} ${to}`;
      const line = lines.get(key);
      if (!line) lines.set(key, { ...edge, key, a: from, b: to });
      else if (Math.abs(edge.tone) > Math.abs(line.tone)) lines.set(key, { ...edge, key, a: from, b: to, width: Math.max(edge.width, line.width) });
    }
    return { shown, lines: [...lines.values()] };
  }

  function grouped(ids) {
    const names = ids.map((id) => nodes[id].name);
    const status = nodes[ids[0]].status;
    const word = status === 'both' ? 'unchanged' : status;
    return {
      key: `g${ids[0]}-${ids.length}`, id: -1, members: ids, label: `${ids.length} ${word}`, name: `${ids.length} ${word} services`,
      note: 'open to see them', size: Math.max(...ids.map((id) => nodes[id].size)), tone: 0, status, isGroup: true,
      figures: [], words: `services: ${names.slice(0, 12).join(', ')}${names.length > 12 ? ' and more' : ''}`,
    };
  }

  const pen = document.createElement('canvas').getContext('2d');
  const font = getComputedStyle(document.body).fontFamily;
  function measure(text, style) {
    pen.font = `${style} ${font}`;
    return pen.measureText(text).width;
  }

  function layout({ shown, lines }) {
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: 'LR', nodesep: 16, ranksep: 54, marginx: 14, marginy: 14 });
    graph.setDefaultEdgeLabel(() => ({}));
    // Calls of a service to itself are a loop above its box, which dagre does not draw where boxes go from left to right.
    const [own, others] = [lines.filter((line) => line.a === line.b), lines.filter((line) => line.a !== line.b)];
    const loops = new Map(own.map((line) => [line.a, LOOP + (line.note ? 16 : 0)]));
    for (const box of shown) {
      box.width = Math.ceil(Math.max(measure(box.label, '600 12.5px'), measure(box.note, '11px')) + (box.inferred ? 40 : 26));
      box.height = Math.round(36 + 22 * box.size);
      graph.setNode(box.key, { width: box.width, height: box.height + 2 * (loops.get(box.key) ?? 0) });
    }
    for (const line of others) {
      const label = line.note ? { width: measure(line.note, '11px') + 6, height: 14, labelpos: 'c' } : {};
      graph.setEdge(line.a, line.b, label);
    }
    dagre.layout(graph);
    for (const box of shown) Object.assign(box, { x: graph.node(box.key).x, y: graph.node(box.key).y });
    for (const line of others) line.route = graph.edge(line.a, line.b);
    for (const line of own) {
      const box = shown.find(({ key }) => key === line.a);
      const top = box.y - box.height / 2;
      const points = [[12, top], [16, top - LOOP], [-16, top - LOOP], [-12, top]].map(([x, y]) => ({ x: box.x + x, y }));
      line.route = { points, x: box.x, y: top - LOOP - 8 };
    }
    return graph.graph();
  }

  /** A route through points with its corners rounded. */
  function curve(points) {
    const round = (value) => Math.round(value * 10) / 10;
    let path = `M${round(points[0].x)} ${round(points[0].y)}`;
    for (let index = 1; index < points.length - 1; index += 1) {
      const [p, q] = [points[index], points[index + 1]];
      path += `Q${round(p.x)} ${round(p.y)} ${round((p.x + q.x) / 2)} ${round((p.y + q.y) / 2)}`;
    }
    const end = points[points.length - 1];
    return `${path}L${round(end.x)} ${round(end.y)}`;
  }

  const tone = (value) => (value > 0 ? `worse-${value}` : value < 0 ? `better-${-value}` : 'level');
  let bounds = { width: 1, height: 1 };

  function render(focusKey) {
    const scene = visible();
    bounds = layout(scene);
    world.textContent = '';
    const back = draw('g', {}, world);
    for (const line of scene.lines) {
      const own = draw('g', { class: `edge ${tone(line.tone)} ${line.status}` }, back);
      draw('path', { d: curve(line.route.points), 'stroke-width': line.width }, own);
      const [p, q] = line.route.points.slice(-2);
      const angle = (Math.atan2(q.y - p.y, q.x - p.x) * 180) / Math.PI;
      const size = 4 + line.width;
      draw('path', { class: 'tip', d: `M0 0L${-size * 1.5} ${-size * 0.7}V${size * 0.7}Z`, transform: `translate(${q.x} ${q.y}) rotate(${angle})` }, own);
      if (line.note) {
        const half = measure(line.note, '11px') / 2 + 3;
        draw('rect', { class: 'label-ground', x: line.route.x - half, y: line.route.y - 7, width: 2 * half, height: 15, rx: 2 }, own);
      }
      if (line.note) draw('text', { x: line.route.x, y: line.route.y + 4, 'text-anchor': 'middle' }, own, line.note);
      draw('title', {}, own, line.words);
    }
    boxes = scene.shown.sort((a, b) => a.x - b.x || a.y - b.y);
    for (const box of boxes) {
      const [w, h] = [box.width / 2, box.height / 2];
      const kind = [tone(box.tone), box.status, box.rank ? 'accused' : '', box.isGroup ? 'group' : '', box.inferred ? 'inferred' : ''].join(' ');
      box.element = draw('g', { class: `node ${kind}`, transform: `translate(${box.x} ${box.y})`, role: 'button', tabindex: '-1', 'aria-label': `${box.label} ${box.note} ${box.rank ?? ''} ${box.words}` }, world);
      const shape = box.inferred
        ? { d: `M${-w} 0L${-w + 14} ${-h}H${w - 14}L${w} 0L${w - 14} ${h}H${-w + 14}Z` }
        : { d: `M${-w + 5} ${-h}H${w - 5}a5 5 0 0 1 5 5V${h - 5}a5 5 0 0 1 -5 5H${-w + 5}a5 5 0 0 1 -5 -5V${-h + 5}a5 5 0 0 1 5 -5Z` };
      if (box.isGroup) draw('path', { ...shape, class: 'behind', transform: 'translate(4 4)' }, box.element);
      if (box.status === 'new') draw('path', { ...shape, class: 'outer' }, box.element);
      draw('path', { ...shape, class: 'shape' }, box.element);
      draw('text', { class: 'label', 'text-anchor': 'middle', y: -2 }, box.element, `${box.label} `);
      draw('text', { class: 'note', 'text-anchor': 'middle', y: 13 }, box.element, `${box.note} `);
      if (box.rank) {
        draw('circle', { class: 'badge', cx: -w, cy: -h, r: 10 }, box.element);
        draw('text', { class: 'badge-number', x: -w, y: -h + 4, 'text-anchor': 'middle' }, box.element, String(box.rank));
      }
      box.element.addEventListener('click', () => choose(box, true));
      box.element.addEventListener('focus', () => { setCurrent(box); follow(box); });
    }
    const first = boxes.find((box) => box.key === focusKey) ?? boxes.find((box) => box.rank === 1) ?? boxes[0];
    current = null;
    if (first) setCurrent(first);
    if (focusKey && first) first.element.focus({ preventScroll: true });
    mark();
  }

  function setCurrent(box) {
    if (current) current.element.setAttribute('tabindex', '-1');
    current = box;
    box.element.setAttribute('tabindex', '0');
  }

  function move(next) {
    view = next;
    world.setAttribute('transform', `translate(${Math.round(view.x * 10) / 10} ${Math.round(view.y * 10) / 10}) scale(${Math.round(view.k * 1000) / 1000})`);
    tell();
  }

  const canvas = svg.parentElement;
  /** Says at the sides, and in words, that there is more than is seen. */
  function outOfSight() {
    const [width, height] = [svg.clientWidth, svg.clientHeight];
    const at = (box) => [view.x + box.x * view.k, view.y + box.y * view.k];
    const beyond = boxes.filter((box) => { const [x, y] = at(box); return x < 0 || y < 0 || x > width || y > height; });
    const sides = { left: ([x]) => x < 0, right: ([x]) => x > width, top: ([, y]) => y < 0, bottom: ([, y]) => y > height };
    for (const [side, isThere] of Object.entries(sides)) canvas.classList.toggle(`more-${side}`, beyond.some((box) => isThere(at(box))));
    return beyond.length;
  }

  function fit(least = 0.01) {
    const [width, height] = [svg.clientWidth || 800, svg.clientHeight || 480];
    const k = Math.min(width / bounds.width, height / bounds.height, 1.15);
    // What would be too small to read goes out of sight; the first suspect stays.
    const readable = Math.max(k, least);
    const at = readable > k && current ? current : { x: bounds.width / 2, y: bounds.height / 2 };
    // No side of the window stays empty while there is more to see on the other.
    const shift = (centre, room, size) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, room / 2 - centre * readable)));
    move({ k: readable, x: shift(at.x, width, bounds.width * readable), y: shift(at.y, height, bounds.height * readable) });
  }

  function zoom(factor, x = svg.clientWidth / 2, y = svg.clientHeight / 2) {
    const k = Math.max(0.01, Math.min(4, view.k * factor));
    move({ k, x: x - ((x - view.x) * k) / view.k, y: y - ((y - view.y) * k) / view.k });
  }

  /** Brings a box into sight. */
  function follow(box) {
    const [x, y] = [view.x + box.x * view.k, view.y + box.y * view.k];
    const [w, h] = [(box.width / 2 + 14) * view.k, (box.height / 2 + 14) * view.k];
    const shift = (at, half, size) => (at - half < 0 ? half - at : at + half > size ? size - at - half : 0);
    const [dx, dy] = [shift(x, w, svg.clientWidth), shift(y, h, svg.clientHeight)];
    if (dx || dy) move({ ...view, x: view.x + dx, y: view.y + dy });
  }

  function mark() {
    const words = search.value.trim().toLowerCase();
    let hits = 0;
    for (const box of boxes) {
      const isHit = words !== '' && box.members.some((id) => nodes[id].name.toLowerCase().includes(words));
      hits += isHit ? 1 : 0;
      box.element.classList.toggle('hit', isHit);
      box.element.classList.toggle('dim', words !== '' && !isHit);
      box.element.classList.toggle('selected', box.key === selected);
    }
    tell(words === '' ? null : `${hits} ${hits === 1 ? 'match' : 'matches'}`);
    return hits;
  }

  let found = null;
  /** What is shown, or what was found until something else is searched. */
  function tell(matches = found) {
    found = matches;
    const [n, beyond] = [boxes.filter((box) => !box.isGroup).length, outOfSight()];
    const text = found ?? `${n} of ${nodes.length} services shown${beyond ? `, ${beyond} ${beyond === 1 ? 'box' : 'boxes'} out of sight: drag, or Fit` : ''}`;
    if (status.textContent !== text) status.textContent = text;
  }

  function choose(box, byPointer) {
    if (box.isGroup) {
      box.members.forEach((id) => expanded.add(id));
      render(`s${box.members[0]}`);
      fit(READABLE);
      if (current) follow(current);
      return;
    }
    selected = box.key;
    setCurrent(box);
    if (byPointer) box.element.focus({ preventScroll: true });
    describe(box);
    mark();
  }

  function describe(box) {
    facts.textContent = '';
    const title = make('h3', facts);
    make('bdi', title, box.name);
    for (const tag of box.tags) make('span', facts, tag, 'tag');
    const table = make('table', facts, undefined, 'data');
    make('caption', table, 'Figures of the service', 'sr');
    const head = make('tr', make('thead', table));
    make('td', head);
    for (const name of ['Baseline', 'Regression']) make('th', head, name, 'number').scope = 'col';
    const body = make('tbody', table);
    for (const [name, before, after] of box.figures) {
      const row = make('tr', body);
      make('th', row, name).scope = 'row';
      make('td', row, before, 'number');
      make('td', row, after, 'number');
    }
    for (const [name, isOwn, other] of [['Called by', (edge) => edge.to === box.id, 'from'], ['Calls', (edge) => edge.from === box.id, 'to']]) {
      const own = edges.filter(isOwn);
      if (!own.length) continue;
      make('h4', facts, name);
      const list = make('ul', facts, undefined, 'plain');
      for (const edge of own.slice(0, 30)) {
        const item = make('li', list);
        const button = make('button', item, undefined, 'link');
        button.type = 'button';
        make('bdi', button, nodes[edge[other]].name);
        button.addEventListener('click', () => go(edge[other]));
        make('span', item, ` ${edge.figures}`, 'muted');
      }
      if (own.length > 30) make('li', list, `${own.length - 30} more`, 'muted');
    }
    if (box.rank) {
      const link = make('a', make('p', facts), `Suspect ${box.rank}`);
      link.href = `#suspect-${box.part}`;
    }
  }

  /** Shows a service, out of its group if need be. */
  function go(id) {
    if (!boxes.some((box) => box.id === id)) {
      expanded.add(id);
      render(`s${id}`);
    }
    const box = boxes.find((own) => own.id === id);
    choose(box, true);
    follow(box);
  }

  const KEYS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  svg.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = KEYS[event.key];
    if (direction && event.shiftKey) move({ ...view, x: view.x - 60 * direction[0], y: view.y - 60 * direction[1] });
    else if (direction && current) {
      const [dx, dy] = direction;
      const cost = (box) => {
        const [along, across] = [(box.x - current.x) * dx + (box.y - current.y) * dy, Math.abs((box.x - current.x) * dy) + Math.abs((box.y - current.y) * dx)];
        return along > 1 ? along + 2 * across : Infinity;
      };
      const next = boxes.reduce((best, box) => (cost(box) < cost(best) ? box : best), current);
      if (cost(next) < Infinity) next.element.focus({ preventScroll: true });
    } else if (event.key === 'Enter' || event.key === ' ') { if (current) choose(current, false); }
    else if (event.key === '+' || event.key === '=') zoom(1.25);
    else if (event.key === '-') zoom(0.8);
    else if (event.key === '0') fit();
    else return;
    event.preventDefault();
  });

  svg.addEventListener('wheel', (event) => {
    // The page scrolls on as usual.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  let drag = null;
  svg.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || event.target.closest('.node')) return;
    drag = { x: event.clientX - view.x, y: event.clientY - view.y };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener('pointermove', (event) => {
    if (drag) move({ ...view, x: event.clientX - drag.x, y: event.clientY - drag.y });
  });
  for (const name of ['pointerup', 'pointercancel']) svg.addEventListener(name, () => { drag = null; });

  byId('graph-in').addEventListener('click', () => zoom(1.25));
  byId('graph-out').addEventListener('click', () => zoom(0.8));
  byId('graph-fit').addEventListener('click', () => fit());
  unchanged.addEventListener('change', () => { expanded.clear(); render(); fit(READABLE); });
  search.addEventListener('input', mark);
  search.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    const words = search.value.trim().toLowerCase();
    const hits = words ? nodes.map((node, id) => id).filter((id) => nodes[id].name.toLowerCase().includes(words)) : [];
    const chosen = boxes.find((box) => box.key === selected);
    const next = hits.find((id) => chosen && id > chosen.id) ?? hits[0];
    if (next !== undefined) { go(next); search.focus({ preventScroll: true }); }
  });
  // Paper has its own size: the picture is scaled to it.
  const tables = document.querySelector('#graph details.figures-of');
  let wasOpen = false;
  addEventListener('beforeprint', () => {
    svg.setAttribute('viewBox', `0 0 ${Math.ceil(bounds.width)} ${Math.ceil(bounds.height)}`);
    world.removeAttribute('transform');
    // Where its names are too small to read, the tables stand below.
    const isLegible = Math.min(PAPER.width / bounds.width, PAPER.height / bounds.height) >= LEGIBLE;
    wasOpen = tables.open;
    tables.classList.toggle('printed', !isLegible);
    tables.open ||= !isLegible;
  });
  addEventListener('afterprint', () => {
    tables.open = wasOpen;
    tables.classList.remove('printed');
    svg.removeAttribute('viewBox');
    move(view);
  });

  unchanged.checked = nodes.length <= FEW;
  unchanged.closest('label').hidden = nodes.every((node) => node.changed >= level);
  render();
  fit(READABLE);
})();
