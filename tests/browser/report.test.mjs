// The report in a browser, used as a reader would.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DESKTOP, INCIDENTS, PHONE, launch, open, overflow, quit, violations } from './harness.mjs';

before(launch);
after(quit);

const LIGHT = { colorScheme: 'light' };
const ALL = [...INCIDENTS, 'hostile', 'twoHundred'];
const transform = (page) => page.locator('#graph-svg > g').getAttribute('transform');
const names = (page) => page.locator('table.suspects > tbody:visible th').allInnerTexts();

for (const name of ALL) {
  test(`${name}: opens from disk, fetches nothing, complains of nothing, never scrolls sideways`, async () => {
    const sizes = {
      desktop: { viewport: DESKTOP },
      dark: { viewport: DESKTOP, colorScheme: 'dark' },
      phone: { viewport: PHONE },
      'zoom of 200 %': { viewport: { width: DESKTOP.width / 2, height: DESKTOP.height / 2 }, deviceScaleFactor: 2 },
    };
    for (const [size, options] of Object.entries(sizes)) {
      await open(name, options, async (page) => {
        assert.equal(await page.locator('h1').count(), 1);
        assert.equal(await page.evaluate(() => window.broken), undefined);
        assert.equal(await overflow(page), 0, size);
      });
    }
    await open(name, {}, async (page) => {
      await page.evaluate(() => { document.documentElement.style.fontSize = '200%'; });
      assert.equal(await overflow(page), 0, 'text of 200 %');
    });
  });

  test(`${name}: axe-core finds nothing serious in light, in dark and on a phone, closed or open`, async () => {
    for (const options of [LIGHT, { colorScheme: 'dark' }, { viewport: PHONE }]) {
      await open(name, options, async (page) => {
        if (options === LIGHT) assert.deepEqual(await violations(page), []);
        await page.evaluate(() => {
          document.querySelectorAll('details').forEach((details) => { details.open = true; });
          document.querySelectorAll('button.open[aria-expanded=false]').forEach((button) => button.click());
          document.querySelector('#graph-svg .node').dispatchEvent(new MouseEvent('click', { bubbles: true }));
        });
        assert.deepEqual(await violations(page), []);
      });
    }
  });
}

test('a column head sorts the suspects with their evidence, and says so', () => open('network-delay', {}, async (page) => {
  const order = () => page.locator('table.suspects > tbody').evaluateAll((bodies) => bodies.map((body) => body.id));
  const ranked = await order();
  assert.ok(ranked.length > 2);
  const head = page.locator('table.suspects th[data-sort]', { hasText: 'ms a request' });
  await head.getByRole('button').click();
  assert.equal(await head.getAttribute('aria-sort'), 'descending');
  const values = () => page.locator('table.suspects tr.head').evaluateAll((rows) => rows.map((row) => Number(row.cells[3].dataset.value)));
  const descending = await values();
  assert.deepEqual(descending, [...descending].sort((a, b) => b - a));
  await head.getByRole('button').press('Enter');
  assert.equal(await head.getAttribute('aria-sort'), 'ascending');
  assert.deepEqual(await values(), descending.reverse());
  assert.equal(await page.locator('table.suspects th[aria-sort]').count(), 1);
  for (const body of await page.locator('table.suspects > tbody').all()) {
    assert.equal(await body.locator('> tr.evidence').getAttribute('id'), `${await body.getAttribute('id')}-evidence`);
  }
  await page.locator('table.suspects th[data-sort]', { hasText: '#' }).getByRole('button').click();
  assert.deepEqual(await order(), ranked);
}));

test('filters keep the suspects that fit and tell how many', () => open('network-delay', {}, async (page) => {
  const all = await names(page);
  const status = page.locator('#suspect-count');
  await page.getByLabel('Filter').fill(all[1].split(/[\s:→]+/)[0].slice(0, 5));
  const some = await names(page);
  assert.ok(some.length >= 1 && some.includes(all[1]));
  await page.getByLabel('Filter').fill('no such service');
  assert.deepEqual(await names(page), []);
  assert.equal(await status.textContent(), `0 of ${all.length} shown`);
  await page.getByLabel('Filter').fill('');
  const kind = await page.locator('table.suspects > tbody').first().getAttribute('data-kind');
  await page.getByLabel('Kind').selectOption(kind);
  const kinds = await page.locator('table.suspects > tbody:visible').evaluateAll((bodies) => bodies.map((body) => body.dataset.kind));
  assert.ok(kinds.length > 0 && kinds.every((own) => own === kind));
}));

test('a suspect opens by mouse and by keyboard to its evidence', () => open('network-delay', {}, async (page) => {
  const body = page.locator('table.suspects > tbody').nth(1);
  const [button, evidence] = [body.locator('button.open'), body.locator('> tr.evidence')];
  assert.equal(await evidence.isVisible(), false);
  await body.locator('th').click();
  assert.equal(await evidence.isVisible(), true);
  assert.equal(await button.getAttribute('aria-expanded'), 'true');
  for (const text of ['Why', 'What would overturn it', 'Contribution', 'How it reached the entries', 'Traces that show it']) {
    assert.ok((await evidence.innerText()).includes(text), text);
  }
  await button.focus();
  await page.keyboard.press('Enter');
  assert.equal(await evidence.isVisible(), false);
  await page.keyboard.press('Space');
  assert.equal(await evidence.isVisible(), true);
  await page.getByRole('button', { name: 'Open all' }).click();
  assert.equal(await page.locator('table.suspects tr.evidence:visible').count(), await page.locator('table.suspects > tbody').count());
}));

test('the views of the change are tabs, and a bar shows its arithmetic on hover and on focus until Escape', () => open('slow-release', {}, async (page) => {
  const tabs = page.getByRole('tab');
  assert.deepEqual(await tabs.allInnerTexts(), ['Mean latency', 'Typical requests', 'Slowest 5 %', 'Failing requests']);
  await tabs.first().focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  assert.equal(await tabs.nth(2).getAttribute('aria-selected'), 'true');
  assert.equal(await page.locator('#way-tail').isVisible(), true);
  assert.equal(await page.locator('#way-mean').isVisible(), false);
  await page.keyboard.press('Home');
  const row = page.locator('#way-mean tr.step').first();
  const arithmetic = row.locator('.arithmetic');
  assert.equal(await arithmetic.isVisible(), false);
  await row.hover();
  assert.equal(await arithmetic.isVisible(), true);
  const [start, step, sum] = (await arithmetic.locator('.sum').innerText()).match(/[\d.]+/g).map(Number);
  assert.ok(Math.abs(start + step - sum) < 0.2, `${start} + ${step} = ${sum}`);
  await page.keyboard.press('Escape');
  assert.equal(await arithmetic.isVisible(), false);
  await page.mouse.move(0, 0);
  await tabs.first().focus();
  await page.keyboard.press('Tab');
  assert.equal(await arithmetic.isVisible(), true);
  assert.equal(await row.locator('button').getAttribute('aria-describedby'), await arithmetic.getAttribute('id'));
}));

test('the time chart is read by slider, keyboard and pointer', () => open('slow-release', {}, async (page) => {
  const [slider, output] = [page.getByRole('slider'), page.locator('.reader output')];
  await slider.focus();
  const first = await output.textContent();
  assert.match(first, /^\d\d:\d\d:\d\d: p50 [\d.,]+, p95 [\d.,]+, p99 [\d.,]+ ms; [\d.]+ % fail; [\d,]+ requests$/);
  await page.keyboard.press('ArrowRight');
  const second = await output.textContent();
  assert.notEqual(second, first);
  assert.equal(await slider.getAttribute('aria-valuetext'), second);
  const box = await page.locator('.plot').boundingBox();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 100);
  assert.notEqual(await output.textContent(), second);
}));

test('the graph pans, zooms, fits, is searched, and goes by keyboard', () => open('slow-release', {}, async (page) => {
  const canvas = page.locator('.canvas');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  let before = await transform(page);
  const moved = async (what) => {
    const now = await transform(page);
    assert.notEqual(now, before, what);
    before = now;
  };
  await page.mouse.move(box.x + 8, box.y + 8);
  await page.mouse.down();
  await page.mouse.move(box.x + 60, box.y + 40, { steps: 3 });
  await page.mouse.up();
  await moved('drag');
  await page.getByRole('button', { name: 'Zoom in' }).click();
  await moved('zoom in');
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await moved('zoom out');
  await page.keyboard.down('Control');
  await page.mouse.move(box.x + 200, box.y + 200);
  await page.mouse.wheel(0, -200);
  await page.keyboard.up('Control');
  await moved('wheel');
  await page.getByRole('button', { name: 'Fit' }).click();
  await moved('fit');

  const nodes = page.locator('#graph-svg .node');
  assert.equal(await nodes.count(), 10);
  assert.equal(await page.locator('#graph-svg .node[tabindex="0"]').count(), 1);
  await page.locator('#graph-svg .node[tabindex="0"]').focus();
  const label = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  assert.match(await label(), /^cart .*suspect 1$/);
  await page.keyboard.press('ArrowLeft');
  const left = await label();
  assert.doesNotMatch(left, /^cart /);
  await page.keyboard.press('Enter');
  assert.ok((await page.locator('#graph-facts h3').innerText()).startsWith(left.replace('▸ ', '').split(' ')[0]));
  assert.ok(await page.locator('#graph-facts tbody tr').count() >= 6);
  await page.keyboard.press('Shift+ArrowLeft');
  await moved('pan by keyboard');
  await page.keyboard.press('+');
  await moved('zoom by keyboard');
  await page.keyboard.press('0');
  await moved('fit by keyboard');

  await page.getByLabel('Find').fill('PAY');
  assert.equal(await page.locator('#graph-svg .node.hit').count(), 1);
  assert.equal(await page.locator('#graph-status').textContent(), '1 match');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#graph-facts h3').innerText(), 'payment');
  await page.locator('#graph-facts button.link').first().click();
  assert.notEqual(await page.locator('#graph-facts h3').innerText(), 'payment');
  await page.locator('#graph-svg .node.accused').first().click();
  await page.locator('#graph-facts a').click();
  assert.equal(await page.evaluate(() => location.hash), '#suspect-1');
}));

test('two hundred services are few boxes at first, and all are there when asked for', () => open('twoHundred', {}, async (page) => {
  const nodes = page.locator('#graph-svg .node');
  const n = await nodes.count();
  assert.ok(n >= 4 && n <= 45, `${n} boxes`);
  const labels = await nodes.evaluateAll((all) => all.map((node) => node.getAttribute('aria-label')));
  for (const own of [/^leaf-4-3 .*suspect 1$/, /^branch-4 /, /^▸ front /, /^audit new/, / unchanged .*services: /]) {
    assert.ok(labels.some((label) => own.test(label)), `${own} in ${labels.join('\n')}`);
  }
  const sizes = await page.locator('#graph-svg text.label').evaluateAll((all) => all.map((text) => text.getBoundingClientRect().height));
  assert.ok(Math.min(...sizes) >= 9, `names ${Math.min(...sizes)} px high`);
  await page.locator('#graph-svg .node.group').first().press('Enter');
  assert.ok(await nodes.count() > n, 'a group opens');
  await page.getByLabel('Find').fill('leaf-12-8');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#graph-facts h3').innerText(), 'leaf-12-8');
  await page.getByLabel('Show all services').check();
  assert.equal(await nodes.count(), 202);
  assert.equal(await page.locator('#graph-svg .node.new').count(), 1);
  await page.getByRole('button', { name: 'Fit' }).click();
  const [canvas, world] = [await page.locator('.canvas').boundingBox(), await page.locator('#graph-svg > g').boundingBox()];
  assert.ok(world.width <= canvas.width + 2 && world.height <= canvas.height + 2, 'all of it is in sight');
}));

test('what is out of sight is told at the sides of the picture and in words, until it fits', () => open('twoHundred', {}, async (page) => {
  const [canvas, status] = [page.locator('.canvas'), page.locator('#graph-status')];
  await page.getByLabel('Show all services').check();
  assert.match(await status.textContent(), /^202 of 202 services shown, \d+ boxes out of sight: drag, or Fit$/);
  assert.match(await canvas.getAttribute('class'), /more-/);
  await page.getByRole('button', { name: 'Fit' }).click();
  assert.equal(await status.textContent(), '202 of 202 services shown');
  assert.doesNotMatch(await canvas.getAttribute('class'), /more-/);
}));

test('a service that calls itself has a loop at its box', () => open('selfCall', {}, async (page) => {
  const [box, line] = await page.evaluate(() => {
    const find = (selector, text) => [...document.querySelectorAll(selector)].find((element) => element.textContent.includes(text));
    const [node, edge] = [find('#graph-svg .node', 'api'), find('#graph-svg .edge', 'api to api')];
    const [shape, path] = [node.querySelector('.shape').getBBox(), edge.querySelector('path').getBBox()];
    const { e, f } = node.transform.baseVal[0].matrix;
    return [{ x: shape.x + e, y: shape.y + f, width: shape.width }, { x: path.x, y: path.y, width: path.width, height: path.height }];
  });
  assert.ok(line.x > box.x && line.x + line.width < box.x + box.width, 'above its box');
  assert.ok(line.height > 15 && Math.abs(line.y + line.height - box.y) < 0.2, 'from its upper side and back');
}));

test('requests stand side by side on one scale, aligned, and link to the trace UI', () => open('n-plus-one', {}, async (page) => {
  const pair = page.locator('details.pair').first();
  assert.equal(await pair.evaluate((details) => details.open), true);
  assert.equal(await pair.locator('thead th.half').count(), 2);
  const ids = await pair.locator('thead a').evaluateAll((links) => links.map((link) => [link.textContent, link.getAttribute('href')]));
  assert.equal(ids.length, 2);
  for (const [id, href] of ids) assert.equal(href, `https://traces.example/trace/${id}`);
  assert.ok(await pair.locator('tbody rect.suspect').count() > 0);
  assert.ok(await pair.locator('tbody rect.blamed').count() > 0);
  assert.ok(await pair.locator('tbody tr').count() > 3);
  for (const row of await pair.locator('tbody tr').all()) assert.equal(await row.locator('td.half').count(), 2);
  const fold = pair.locator('button.fold');
  if (await fold.count()) {
    const visible = await pair.locator('tbody tr:visible').count();
    await fold.press('Enter');
    assert.ok(await pair.locator('tbody tr:visible').count() > visible);
    assert.equal(await fold.getAttribute('aria-expanded'), 'true');
  }
  const second = page.locator('details.pair').nth(1);
  await second.locator('summary').focus();
  await page.keyboard.press('Enter');
  assert.equal(await second.locator('table').isVisible(), true);
}));

test('the pages of slow requests hold calls of only one side, too', () => open('error', {}, async (page) => {
  await page.evaluate(() => document.querySelectorAll('details.pair').forEach((details) => { details.open = true; }));
  const tags = await page.locator('table.trace .tag').allInnerTexts();
  assert.ok(tags.includes('only here') || tags.includes('only before'), tags.join());
  assert.ok(tags.includes('failed'));
}));

test('a link to a suspect or to its requests opens them', () => open('network-delay', {}, async (page) => {
  await page.evaluate(() => { location.hash = '#suspect-2'; });
  await page.locator('#suspect-2-evidence').waitFor({ state: 'visible' });
  const id = await page.locator('details.pair').last().getAttribute('id');
  await page.evaluate((hash) => { location.hash = hash; }, `#${id}`);
  await page.locator(`[id="${id}"] table`).waitFor({ state: 'visible' });
}));

test('paper shows all views of the change, the first suspects open, and no controls', () => open('slow-release', {}, async (page) => {
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  for (const id of ['way-mean', 'way-typical', 'way-tail', 'way-errors']) assert.equal(await page.locator(`#${id}`).isVisible(), true, id);
  assert.equal(await page.locator('#suspect-1-evidence').isVisible(), true);
  assert.equal(await page.locator('#suspect-2-evidence').isVisible(), true);
  for (const control of ['.tools', '.reader', '.tablist', 'nav.contents', '.figures-of', '#change .on-screen', '#traces .on-screen', 'button.fold']) {
    assert.equal(await page.locator(control).first().isVisible(), false, control);
  }
  const breaks = (selector, side) => page.locator(selector).first().evaluate((element, side) => getComputedStyle(element)[side], side);
  for (const above of ['#graph h2', '#graph .lead', '#graph ul.legend', '#suspects thead']) assert.equal(await breaks(above, 'breakAfter'), 'avoid', above);
  assert.notEqual(await page.locator('.spreads').first().evaluate((element) => getComputedStyle(element).display), 'grid');
  for (const whole of ['#graph ul.legend', '#graph .canvas', '#distributions .lead', '.spread']) assert.equal(await breaks(whole, 'breakInside'), 'avoid', whole);
  assert.equal(await breaks('#suspects tbody > tr', 'breakBefore'), 'avoid');
  assert.ok(await page.locator('#graph-svg').getAttribute('viewBox'));
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  assert.equal(await page.locator('#suspect-2-evidence').isVisible(), false);
  assert.equal(await page.locator('#graph-svg').getAttribute('viewBox'), null);
  const pdf = await page.pdf({ format: 'A4' });
  assert.ok(pdf.length > 20_000 && pdf.subarray(0, 5).toString() === '%PDF-');
  const n_pages = pdf.toString('latin1').match(/\/Type\s*\/Page[^s]/g).length;
  assert.ok(n_pages >= 3 && n_pages <= 14, `${n_pages} pages`);
}));

test('on paper the tables of the graph stand below a picture that is too small to read', async () => {
  for (const [name, isPrinted] of [['selfCall', false], ['twoHundred', true]]) {
    await open(name, {}, async (page) => {
      if (isPrinted) await page.getByLabel('Show all services').check();
      const table = page.locator('#graph table', { hasText: 'Services, baseline and regression' });
      await page.emulateMedia({ media: 'print' });
      await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
      await table.waitFor({ state: isPrinted ? 'visible' : 'hidden' });
      await page.evaluate(() => dispatchEvent(new Event('afterprint')));
      await table.waitFor({ state: 'hidden' });
    });
  }
});

test('without scripts everything but the picture of the graph is there', () => open('slow-release', { javaScriptEnabled: false }, async (page) => {
  for (const selector of ['#suspect-2-evidence', '#way-errors', '#way-mean', '#graph-without']) assert.equal(await page.locator(selector).isVisible(), true, selector);
  for (const selector of ['.tools', '#graph-view', 'button.fold']) assert.equal(await page.locator(selector).first().isVisible(), false, selector);
}));

test('the Tab key goes through the whole page, every stop is seen, and none holds it', () => open('slow-release', {}, async (page) => {
  const stops = new Set();
  for (let press = 0; press < 300; press += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === document.body) return null;
      element.dataset.stop ??= String(document.querySelectorAll('[data-stop]').length);
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const shape = element.querySelector(':scope > .shape');
      const isSeen = (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1) || (shape && parseFloat(getComputedStyle(shape).strokeWidth) > 3);
      return { id: element.dataset.stop, isSeen, name: element.outerHTML.slice(0, 120) };
    });
    if (stop === null || (stops.has(stop.id) && stop.id === '0')) break;
    assert.ok(!stops.has(stop.id), `back at ${stop.name}`);
    assert.ok(stop.isSeen, `not seen: ${stop.name}`);
    stops.add(stop.id);
  }
  assert.ok(stops.size > 40 && stops.size < 300, `${stops.size} stops`);
  const last = await page.evaluate((n) => document.querySelector(`[data-stop="${n}"]`).closest('footer') !== null, stops.size - 1);
  assert.ok(last, 'the last stop is at the end of the page');
}));

test('colours keep 4.5:1 in light and in dark', async () => {
  const pairs = [['--ink', '--paper'], ['--ink', '--panel'], ['--muted', '--paper'], ['--muted', '--panel'], ['--accent', '--paper'], ['--accent', '--panel'],
    ['--before', '--paper'], ['--better', '--paper'], ['--accent-ink', '--accent'], ['--ink', '--worse-1'], ['--ink', '--worse-2'], ['--ink', '--better-1'], ['--ink', '--better-2']];
  const papers = [];
  for (const colorScheme of ['light', 'dark']) {
    await open('fault-free', { colorScheme }, async (page) => {
      const colours = await page.evaluate((all) => {
        const style = getComputedStyle(document.documentElement);
        return Object.fromEntries(all.flat().map((name) => [name, style.getPropertyValue(name).trim()]));
      }, pairs);
      papers.push(colours['--paper']);
      const luminance = (hex) => {
        const full = hex.length === 4 ? [...hex.slice(1)].map((digit) => digit + digit).join('') : hex.slice(1);
        const [r, g, b] = [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      for (const [ink, paper] of pairs) {
        const [a, b] = [luminance(colours[ink]), luminance(colours[paper])].sort((left, right) => right - left);
        assert.ok((a + 0.05) / (b + 0.05) >= 4.5, `${ink} on ${paper} in ${colorScheme}: ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
      }
    });
  }
  assert.notEqual(papers[0], papers[1]);
});

test('motion is only for those who did not ask for less', async () => {
  const behaviour = (page) => page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior);
  await open('fault-free', { reducedMotion: 'reduce' }, async (page) => assert.equal(await behaviour(page), 'auto'));
  await open('fault-free', { reducedMotion: 'no-preference' }, async (page) => assert.equal(await behaviour(page), 'smooth'));
});

test('hostile names are read, not obeyed', () => open('hostile', {}, async (page) => {
  const text = await page.locator('main').innerText();
  assert.ok(text.includes('</script><script>window.broken = 1</script>'));
  assert.ok(text.includes('\\u{1b}[31mred'));
  assert.ok(text.includes('\\u{202e}gnp.exe'));
  assert.equal(await page.locator('img, iframe, main script:not([type])').count(), 0);
  assert.equal(await page.evaluate(() => window.broken), undefined);
  const full = page.locator('ol.names bdi', { hasText: 'xxxend' }).first();
  assert.ok((await full.innerText()).length >= 10_000);
  await page.locator('a.full').first().click();
  assert.match(await page.evaluate(() => location.hash), /^#name-\d+$/);
}));
