// SPDX-License-Identifier: Apache-2.0

const units = { h: 3600, m: 60, s: 1 };

/** Seconds of a duration such as "1h30m". */
export function parse(text) {
  if (!/^(\d+[hms])+$/.test(text)) {
    throw new Error(`${JSON.stringify(text)} is no duration, want 1h30m`);
  }
  let seconds = 0;
  for (const [, n, unit] of text.matchAll(/(\d+)([hms])/g)) {
    seconds += Number(n) * units[unit];
  }
  return seconds;
}

/** The shortest text of a duration in seconds. */
export function format(seconds) {
  let text = '';
  for (const [unit, size] of Object.entries(units)) {
    const n = Math.floor(seconds / size);
    if (n > 0) {
      text += n + unit;
      seconds -= n * size;
    }
  }
  return text || '0s';
}
