// Reports made by the program, opened in Chromium from disk; whatever the page asks for or complains about is a fault.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { WINDOWS, hostile, twoHundred } from './data.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const target = process.env.CARGO_TARGET_DIR ?? join(homedir(), '.cache/suspect-target');
const program = process.env.SUSPECT ?? join(target, 'debug/suspect');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const INCIDENTS = ['cpu-contention', 'error', 'fault-free', 'n-plus-one', 'network-delay', 'slow-dependency', 'slow-release', 'traffic-mix'];
export const TRACE_URL = 'https://traces.example/trace/{trace_id}';
export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

const folder = mkdtempSync(join(tmpdir(), 'suspect-browser-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const reports = new Map();

/** The report's file, made on first use: an incident, `hostile` or `twoHundred`. */
export function report(name) {
  if (reports.has(name)) return reports.get(name);
  const file = join(folder, `${name}.html`);
  let input = [join(root, 'datasets/incidents', name)];
  if (name in WINDOWS) {
    const data = join(folder, name);
    mkdirSync(data);
    writeFileSync(join(data, 'spans.jsonl'), { hostile, twoHundred }[name]());
    input = [data, ...WINDOWS[name]];
  }
  execFileSync(program, ['analyze', ...input, '--quiet', '--html', file, '--trace-url', TRACE_URL], { stdio: ['ignore', 'ignore', 'inherit'] });
  reports.set(name, file);
  return file;
}

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

/** What axe-core finds that is serious or critical, with where. */
export async function violations(page) {
  // The page's own policy keeps scripts out; the debugger's evaluation is not subject to it.
  await page.evaluate(`${axe}; undefined`);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.slice(0, 5).map((node) => `${node.target}: ${node.any.concat(node.all, node.none).map((check) => check.message).join('; ')}`) }));
  });
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
}

/** Pixels by which the page is wider than its window. */
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
