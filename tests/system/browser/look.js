// SPDX-License-Identifier: MIT
//
// A browser that is asked by lines of JSON on standard input, one answer each on standard output:
//
//   {"open": URL, "width": W, "height": H}     {"text": SELECTOR}     {"wait": SELECTOR}
//   {"click": SELECTOR}     {"press": KEYS}    {"fill": SELECTOR, "with": TEXT}
//   {"shot": FILE}                             {"foreign": true}: requests to other hosts
//
// It ends with its standard input.

const readline = require('readline');
const { chromium } = require('playwright-core');

const LIMIT = 30000;

(async () => {
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
               '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
    const foreign = [];
    let page;
    const ways = {
        async open({ open, width, height }) {
            if (page) await page.close();
            page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor: width < 600 ? 2 : 1 });
            page.setDefaultTimeout(LIMIT);
            page.on('request', (request) => {
                const { host, protocol } = new URL(request.url());
                if (protocol.startsWith('http') && host !== new URL(open).host) foreign.push(request.url());
            });
            await page.goto(open, { waitUntil: 'domcontentloaded' });
        },
        text: ({ text }) => page.locator(text).allTextContents(),
        wait: ({ wait }) => page.locator(wait).first().waitFor(),
        click: ({ click }) => page.locator(click).first().click(),
        press: ({ press }) => page.keyboard.press(press),
        fill: (order) => page.locator(order.fill).first().fill(order.with),
        shot: ({ shot }) => page.screenshot({ path: shot, fullPage: true }).then(() => shot),
        foreign: () => foreign,
    };
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const order = JSON.parse(line);
        const way = Object.keys(order).find((key) => key in ways);
        try {
            console.log(JSON.stringify({ answer: (await ways[way](order)) ?? null }));
        } catch (error) {
            console.log(JSON.stringify({ error: error.message.split('\n')[0] }));
        }
    }
    await browser.close();
})();
