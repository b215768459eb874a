// Reports made by the program, opened in Chromium from disk; whatever the page asks for or complains about is a fault.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { WINDOWS, circle, hostile, selfCall, twoHundred, wide } from './data.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const target = process.env.CARGO_TARGET_DIR ?? join(homedir(), '.cache/suspect-target');
const program = process.env.SUSPECT ?? join(target, 'debug/suspect');
const { resolve: resolvePackage } = createRequire(import.meta.url);
const axe = readFileSync(resolvePackage('axe-core/axe.min.js'), 'utf8');

export const INCIDENTS = ['cpu-contention', 'error', 'fault-free', 'n-plus-one', 'network-delay', 'slow-dependency', 'slow-release', 'traffic-mix'];
export const TRACE_URL = 'https://traces.example/trace/{trace_id}';
export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

const folder = mkdtempSync(join(tmpdir(), 'suspect-browser-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const made = new Map();

/** What `make` gives, made on first use. */
function once(key, make) {
  if (!made.has(key)) made.set(key, make());
  return made.get(key);
}

/** Spans and windows, as arguments: of an incident, of `hostile` or of `twoHundred`. */
const input = (name) => once(`input ${name}`, () => {
  if (!(name in WINDOWS)) return [join(root, 'datasets/incidents', name)];
  const data = join(folder, name);
  mkdirSync(data);
  writeFileSync(join(data, 'spans.jsonl'), { circle, hostile, selfCall, twoHundred, wide }[name]());
  return [data, ...WINDOWS[name]];
});

const run = (...args) => execFileSync(program, args, { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 }).toString();

/** The analysis as a file of a kind: `html` or `markdown`. */
const document = (name, kind) => once(`${kind} ${name}`, () => {
  const file = join(folder, `${name}.${kind}`);
  run('analyze', ...input(name), '--quiet', `--${kind}`, file, '--trace-url', TRACE_URL);
  return file;
});

/** The report's file. */
export const report = (name) => document(name, 'html');

/** The section of a postmortem. */
export const postmortem = (name) => readFileSync(document(name, 'markdown'), 'utf8');

/** The dependency graph for Mermaid; a level is `service` or `operation`. */
export const graph = (name, level) => once(`graph ${name} ${level}`, () => run('graph', ...input(name), '--quiet', '--format', 'mermaid', '--level', level));

let browser;
export async function launch() {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}
export const quit = () => browser.close();

/** Opens a report, lets `use` work with it, and fails on any request, message or dialogue of the page. */
export async function open(name, options, use) {
  const file = pathToFileURL(report(name)).href;
  const context = await browser.newContext({ viewport: DESKTOP, reducedMotion: 'reduce', ...options });
  const faults = [];
  const isOwn = (url) => url.split('#')[0] === file || url === 'data:,';
  context.on('request', (request) => { if (!isOwn(request.url())) faults.push(`fetched ${request.url()}`); });
  context.on('page', (page) => {
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) faults.push(`${message.type()}: ${message.text()}`); });
    page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => { faults.push(`dialogue: ${dialog.message()}`); dialog.dismiss(); });
  });
  try {
    const page = await context.newPage();
    await page.goto(file);
    await use(page);
    if (faults.length) throw new Error(`${name}: ${faults.join('\n')}`);
  } finally {
    await context.close();
  }
}

/** Lets `use` work with an empty page that has Mermaid, and fails on any request, message or dialogue of it. */
export async function openMermaid(use) {
  const context = await browser.newContext({ viewport: DESKTOP });
  const faults = [];
  context.on('request', (request) => { if (!request.url().startsWith('data:')) faults.push(`fetched ${request.url()}`); });
  context.on('page', (page) => {
    page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => { faults.push(`dialogue: ${dialog.message()}`); dialog.dismiss(); });
  });
  try {
    const page = await context.newPage();
    await page.setContent('<!doctype html><title>graph</title><div id="place"></div>');
    await page.addScriptTag({ content: readFileSync(join(dirname(resolvePackage('mermaid')), 'mermaid.min.js'), 'utf8') });
    await use(page);
    if (faults.length) throw new Error(faults.join('\n'));
  } finally {
    await context.close();
  }
}

/** What axe-core finds that is serious or critical, or two landmarks of one name, with where. */
export async function violations(page) {
  // The page's own policy keeps scripts out; the debugger's evaluation is not subject to it.
  await page.evaluate(`${axe}; undefined`);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.slice(0, 5).map((node) => `${node.target}: ${node.any.concat(node.all, node.none).map((check) => check.message).join('; ')}`) }));
  });
  return found.filter(({ id, impact }) => impact === 'serious' || impact === 'critical' || id === 'landmark-unique');
}

/** Pixels by which the page is wider than its window. */
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
