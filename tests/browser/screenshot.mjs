// Makes the README's picture again: `node screenshot.mjs ../../notebooks/report.png`, after `npm ci`; palette by pngquant, where there is one.

import { execFileSync } from 'node:child_process';
import { launch, open, quit } from './harness.mjs';

const file = process.argv[2];
await launch();
await open('slow-release', { viewport: { width: 1180, height: 900 } }, async (page) => {
  // Down to the end of the waterfall.
  const { y, height } = await page.locator('#change').boundingBox();
  await page.setViewportSize({ width: 1180, height: Math.ceil(y + height) + 16 });
  await page.screenshot({ path: file });
});
await quit();
try {
  execFileSync('pngquant', ['--force', '--strip', '--speed', '1', '--output', file, '64', file]);
} catch {
  console.error('pngquant is not there: the picture is larger than need be');
}
