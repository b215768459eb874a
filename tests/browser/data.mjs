// Spans made for the page's hard cases: names that would leave a careless page, and two hundred services.

const START_NS = 1_700_000_000n * 1_000_000_000n;
const hex = (number, digits) => number.toString(16).padStart(digits, '0');

function line(service, spans, resource = {}) {
  const attributes = Object.entries({ 'service.name': service, ...resource }).map(([key, value]) => ({ key, value: { stringValue: value } }));
  return JSON.stringify({ resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans }] }] });
}

/** A span: times in milliseconds after the second in which its trace starts. */
function span(trace, id, parent, name, kind, from, until, more = {}) {
  const at = (ms) => String(START_NS + BigInt(trace) * 1_000_000_000n + BigInt(Math.round(ms * 1e6)));
  return {
    traceId: hex(trace + 1, 32), spanId: hex((trace + 1) * 4096 + id, 16), parentSpanId: parent ? hex((trace + 1) * 4096 + parent, 16) : undefined,
    name, kind, startTimeUnixNano: at(from), endTimeUnixNano: at(until), ...more,
  };
}

export const HOSTILE_NAMES = [
  '</script><script>window.broken = 1</script>',
  '"><img src=x onerror="window.broken = 2">',
  "' onfocus='window.broken = 3' autofocus='",
  '<!--<script>',
  'bell \u0007 escape \u001b[31mred nul \u0000 tab \t line \n return \r',
  'right to left \u202egnp.exe\u202c zero\u200bwidth \u2066isolate',
  'שלום עולם مرحبا بالعالم',
  `start${'x'.repeat(10_000)}end`,
];

/** Each request passes a service of each hostile name; the second half of them is slower, and some fail. */
export function hostile() {
  const lines = [];
  for (let trace = 0; trace < 160; trace += 1) {
    const isSlow = trace >= 80;
    const each = isSlow ? 9 + (trace % 3) : 3;
    const total = 4 + HOSTILE_NAMES.length * each;
    lines.push(line('gateway', [span(trace, 1, 0, HOSTILE_NAMES[trace % 2], 2, 0, total)]));
    HOSTILE_NAMES.forEach((name, index) => {
      const [from, until] = [1 + index * each, 1 + (index + 1) * each];
      const failed = isSlow && index === 0 && trace % 7 === 0
        ? { status: { code: 2, message: name }, events: [{ name: 'exception', timeUnixNano: String(START_NS), attributes: [{ key: 'exception.type', value: { stringValue: name } }] }] }
        : {};
      lines.push(line('gateway', [span(trace, 10 + index, 1, `call ${name}`, 3, from, until)]));
      lines.push(line(`service ${name}`, [span(trace, 40 + index, 10 + index, name, 2, from + 0.5, until - 0.5, failed)], { 'service.version': isSlow ? name : '1' }));
    });
  }
  return `${lines.join('\n')}\n`;
}

/** A front, 20 services behind it, 9 behind each of these; one of the last gets slower, one is new. */
export function twoHundred() {
  const lines = [];
  for (let trace = 0; trace < 400; trace += 1) {
    const isSlow = trace >= 200;
    const branch = trace % 20;
    const isCulprit = (leaf) => isSlow && branch === 4 && leaf === 3;
    const longer = isSlow && branch === 4 ? 60 : 0;
    lines.push(line('front', [span(trace, 1, 0, `GET /branch/${branch}`, 2, 0, 140 + longer)]));
    lines.push(line('front', [span(trace, 2, 1, 'ask', 3, 1, 139 + longer)]));
    lines.push(line(`branch-${branch}`, [span(trace, 3, 2, 'answer', 2, 2, 138 + longer)]));
    let from = 3;
    for (let leaf = 0; leaf < 9; leaf += 1) {
      const until = from + 5 + (trace % 3) + (isCulprit(leaf) ? longer : 0);
      lines.push(line(`branch-${branch}`, [span(trace, 10 + leaf, 3, 'ask', 3, from, until)]));
      lines.push(line(`leaf-${branch}-${leaf}`, [span(trace, 30 + leaf, 10 + leaf, 'work', 2, from + 1, until - 1)]));
      from = until + 2;
    }
    if (isSlow && branch === 7) {
      lines.push(line('branch-7', [span(trace, 60, 3, 'audit', 3, 120, 130)]));
      lines.push(line('audit', [span(trace, 61, 60, 'write', 2, 121, 129)]));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Two services that call each other; one has a name that Mermaid would take for its settings. */
export const DIRECTIVE = '%%{init: {"theme": "dark"}}%%';
export function circle() {
  const lines = [];
  for (let trace = 0; trace < 40; trace += 1) {
    lines.push(line('bank', [span(trace, 1, 0, 'pay', 2, 0, 20), span(trace, 2, 1, 'ask', 3, 1, 19)]));
    lines.push(line(DIRECTIVE, [span(trace, 3, 2, 'rate', 2, 2, 18), span(trace, 4, 3, 'ask back', 3, 3, 17)]));
    lines.push(line('bank', [span(trace, 5, 4, 'look up', 2, 4, 16)]));
  }
  return `${lines.join('\n')}\n`;
}

/** A service that calls itself over the network, and another that gets slower. */
export function selfCall() {
  const lines = [];
  for (let trace = 0; trace < 80; trace += 1) {
    const slow = trace >= 40 ? 24 : 0;
    lines.push(line('api', [span(trace, 1, 0, 'GET /', 2, 0, 30 + slow), span(trace, 2, 1, 'ask itself', 3, 1, 9), span(trace, 3, 2, 'GET /own', 2, 2, 8)]));
    lines.push(line('api', [span(trace, 4, 1, 'ask', 3, 10, 20 + slow)]));
    lines.push(line('store', [span(trace, 5, 4, 'w', 2, 11, 19 + slow + (trace % 3) / 10)]));
  }
  return `${lines.join('\n')}\n`;
}

/** More services with longer names than Mermaid draws: a front that calls 700, some more often than others. */
export function wide() {
  const lines = [];
  for (let trace = 0; trace < 8; trace += 1) {
    lines.push(line('front', [span(trace, 1, 0, 'GET /', 2, 0, 900)]));
    for (let leaf = 0; leaf < 700; leaf += 1) {
      if (leaf % 8 < trace) continue;
      lines.push(line('front', [span(trace, 10 + leaf, 1, 'ask', 3, leaf, leaf + 3)]));
      lines.push(line(`leaf-${leaf}-${'with-a-long-name-'.repeat(3)}`, [span(trace, 1000 + leaf, 10 + leaf, 'work', 2, leaf + 1, leaf + 2)]));
    }
  }
  return `${lines.join('\n')}\n`;
}

export const WINDOWS = {
  hostile: ['--baseline', '..+80s', '--regression', '+80s..'],
  circle: [],
  wide: [],
  selfCall: ['--baseline', '..+40s', '--regression', '+40s..'],
  twoHundred: ['--baseline', '..+200s', '--regression', '+200s..'],
};
