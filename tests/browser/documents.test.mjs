// Graphs as Mermaid draws them, and the section of a postmortem as GitHub and GitLab read it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import MarkdownIt from 'markdown-it';
import { DIRECTIVE, HOSTILE_NAMES } from './data.mjs';
import { INCIDENTS, TRACE_URL, graph, launch, openMermaid, postmortem, quit } from './harness.mjs';

before(launch);
after(quit);

const ALL = [...INCIDENTS, 'hostile', 'twoHundred'];

/** Mermaid blocks of Markdown. */
const fences = (markdown) => [...markdown.matchAll(/^```mermaid\n([^]*?)^```$/gm)].map((found) => found[1]);

/** What Mermaid makes of a graph, with the settings that it has by itself: kind, counts, labels, and elements that no label may make. */
const draw = (page, text) => page.evaluate(async (text) => {
  window.mermaid.initialize({ startOnLoad: false });
  const { diagramType } = await window.mermaid.parse(text);
  const place = document.getElementById('place');
  const { svg } = await window.mermaid.render('drawing', text, place);
  place.innerHTML = svg;
  const count = (selector) => place.querySelectorAll(selector).length;
  const attributes = [...place.querySelectorAll('*')].flatMap((element) => element.getAttributeNames());
  return {
    diagramType,
    isRefused: /Syntax error|Maximum text size|Too many edges/.test(place.textContent),
    nodes: count('g.node'),
    clusters: count('g.cluster'),
    edges: count('path.flowchart-link'),
    labels: [...place.querySelectorAll('g.node .nodeLabel')].map((label) => label.textContent),
    foreign: count('script, img, a, iframe, form, input, [href^="javascript:" i]'),
    handlers: attributes.filter((name) => name.startsWith('on')),
    broken: window.broken,
    theme: window.mermaid.mermaidAPI.getConfig().theme,
  };
}, text);

function assertDrawn(drawn, text) {
  const count = (pattern) => text.split('\n').filter((line) => pattern.test(line)).length;
  assert.match(drawn.diagramType, /^flowchart/);
  assert.equal(drawn.isRefused, false);
  assert.equal(drawn.nodes, count(/^\s*n\d+[[(]/), 'nodes');
  assert.equal(drawn.clusters, count(/^\s*subgraph /), 'groups');
  assert.equal(drawn.edges, count(/^\s*n\d+ (-->|==>|-\.->)/), 'edges');
  assert.deepEqual([drawn.foreign, drawn.handlers, drawn.broken, drawn.theme], [0, [], undefined, 'default']);
}

for (const name of ALL) {
  test(`${name}: Mermaid draws every node and edge of the graph and of the postmortem`, () => openMermaid(async (page) => {
    const graphs = [graph(name, 'service'), graph(name, 'operation'), ...fences(postmortem(name))];
    for (const text of graphs) assertDrawn(await draw(page, text), text);
    assert.ok(graphs.length === 3 || !postmortem(name).includes('mermaid'));
  }));
}

test('hostile names are labels in Mermaid, character by character', () => openMermaid(async (page) => {
  const { labels } = await draw(page, graph('hostile', 'service'));
  const shown = labels.map((label) => label.replaceAll(/\s+/g, ''));
  for (const name of HOSTILE_NAMES) {
    // What drives a terminal or turns the text around is shown by its number; long names are cut in their middle.
    const plain = `service ${name}`.replaceAll(/\s+/g, '').split(/[\p{Cc}\p{Cf}]/u)[0].slice(0, 25);
    assert.ok(shown.some((label) => label.includes(plain)), `${plain} is not among ${shown.join('\n')}`);
  }
}));

test('a name that looks like settings is a name, in a label and in a comment', () => openMermaid(async (page) => {
  const text = graph('circle', 'service');
  assert.match(text, /in a circle/);
  const drawn = await draw(page, text);
  assertDrawn(drawn, text);
  assert.ok(drawn.labels.includes(DIRECTIVE), drawn.labels.join('\n'));
  // The same as a comment of its own would be obeyed.
  assert.equal((await draw(page, `${DIRECTIVE}\n${text}`)).theme, 'dark');
}));

test('of a graph that is too large for Mermaid the busiest part is drawn, and the text says so', () => openMermaid(async (page) => {
  const text = graph('wide', 'service');
  assert.ok(text.length > 40_000 && text.length <= 50_000, `${text.length}`);
  assert.match(text, /left out: \d+ edges with fewer calls, and \d+ nodes/);
  assertDrawn(await draw(page, text), text);
}));

test('what is no graph is refused, so a fault would be seen', () => openMermaid(async (page) => {
  await assert.rejects(draw(page, graph('fault-free', 'service').replace('"]', '"')));
}));

const MARKDOWN = new MarkdownIt({ html: true, linkify: true });
const HEADINGS = ['Summary', 'Timeline', 'Impact', /^(Contributing causes|What changed)$/, 'Affected part', 'Evidence', 'Method and limits', 'What went well', 'What went wrong', 'Decisions', 'Action items'];

/** Blocks and what is in them, one after the other. */
const flat = (tokens) => tokens.flatMap((token) => [token, ...(token.children ?? [])]);

for (const name of ALL) {
  test(`${name}: the postmortem has its headings, tables, code and graph, and no name makes HTML or a link`, () => {
    const text = postmortem(name);
    const lines = text.split('\n');
    const tokens = MARKDOWN.parse(text, {});
    const all = flat(tokens);
    const headings = tokens.flatMap((token, index) => (token.type === 'heading_open' ? [[token.tag, tokens[index + 1].content]] : []));
    const expected = HEADINGS.filter((heading) => heading !== 'Affected part' || text.includes('```mermaid'));
    assert.equal(headings.length, expected.length, headings.join('\n'));
    headings.forEach(([tag, heading], index) => {
      assert.equal(tag, 'h2');
      if (expected[index] instanceof RegExp) assert.match(heading, expected[index]);
      else assert.equal(heading, expected[index]);
    });
    const tables = tokens.filter((token) => token.type === 'table_open');
    assert.ok(tables.length >= 2, `${tables.length} tables`);
    for (const { map: [from, until] } of tables) {
      // The parser fills and cuts rows to the head's cells, so they are counted in the text, as the standard says: a bar without backslash.
      const bars = lines.slice(from, until).map((line) => line.match(/(?<!\\)\|/g).length);
      assert.deepEqual(bars, bars.map(() => bars[0]), lines.slice(from, until).join('\n'));
    }
    // No row fell out of its table.
    const inTables = tables.reduce((sum, { map: [from, until] }) => sum + until - from, 0);
    assert.equal(lines.filter((line) => line.startsWith('|')).length, inTables);
    assert.deepEqual(tokens.filter((token) => token.type === 'fence').map((token) => token.info), fences(text).map(() => 'mermaid'));
    // Where somebody is accused there are operations and traces to show.
    const isAccusing = headings.some(([, heading]) => heading === 'Contributing causes');
    assert.ok(!isAccusing || all.some((token) => token.type === 'code_inline'), 'code');
    assert.deepEqual(all.filter((token) => ['html_inline', 'html_block', 'image', 'code_block', 'hr'].includes(token.type)).map((token) => token.content), []);
    const links = all.filter((token) => token.type === 'link_open').map((token) => token.attrGet('href'));
    assert.ok(!isAccusing || links.length > 0, 'links to traces');
    assert.deepEqual(links.filter((link) => !/^[0-9a-f]{32}$/.test(link.replace(TRACE_URL.replace('{trace_id}', ''), ''))), []);
    // What GitHub and GitLab make links of after rendering: people, issues, commits by `#`.
    const plain = all.filter((token) => token.type === 'text').map((token) => token.content);
    assert.deepEqual(plain.filter((content) => /(^|\W)[@#][A-Za-z0-9]/.test(content)), []);
  });
}

test('hostile names are in the postmortem as they are', () => {
  const texts = flat(MARKDOWN.parse(postmortem('hostile'), {})).filter((token) => ['text', 'code_inline'].includes(token.type));
  const all = texts.map((token) => token.content.replaceAll('\u2060', '')).join('\n');
  for (const name of HOSTILE_NAMES.slice(0, 4)) assert.ok(all.includes(`service ${name}`), name);
  assert.ok(all.includes('right to left \\u{202e}gnp.exe'), 'what turns the text around is shown by its number');
});
