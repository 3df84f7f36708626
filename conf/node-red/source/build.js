#!/usr/bin/env node
// SPDX-License-Identifier: MIT
//
// Writes flows.json from the files beside this one: code is edited and reviewed as code. With
// --check it only says whether flows.json is what they make.

const fs = require('fs');
const path = require('path');

const read = (name) => fs.readFileSync(path.join(__dirname, name), 'utf8');
const id = (number) => `5e45000000000${String(number).padStart(3, '0')}`;
const TAB = id(1), TLS = id(2), BROKER = id(3), BASE = id(10), THEME = id(11), PAGE = id(12);

const on = (node) => ({ z: TAB, ...node });
const mqttIn = (number, topic, y, to) => on({
    id: id(number), type: 'mqtt in', name: '', topic, qos: '1', datatype: 'utf8', broker: BROKER,
    nl: false, rap: true, rh: 0, topicType: 'static', inputs: 0, x: 110, y, wires: [[to]],
});
const code = (number, name, file, outputs, x, y, wires) => on({
    id: id(number), type: 'function', name, func: read(file), outputs, timeout: '', noerr: 0,
    initialize: '', finalize: '', libs: [], x, y, wires,
});
const group = (number, name, width, order, showTitle) => ({
    id: id(number), type: 'ui-group', name, page: PAGE, width, height: '1', order, showTitle,
    className: '', visible: 'true', disabled: 'false', groupType: 'default',
});
const template = (number, name, file, into, x, y) => on({
    id: id(number), type: 'ui-template', group: into, page: '', ui: '', name, order: 1, width: '0',
    height: '0', head: '', format: read(file), storeOutMessages: true, passthru: false, resendOnRefresh: true,
    templateScope: 'local', className: '', x, y, wires: [[]],
});
const chart = (number, name, into, y) => on({
    id: id(number), type: 'ui-chart', group: into, name, label: '', order: 1, chartType: 'line',
    category: 'topic', categoryType: 'msg', xAxisLabel: '', xAxisProperty: 'x', xAxisPropertyType: 'property',
    xAxisType: 'time', xAxisFormat: '', xAxisFormatType: 'auto', xmin: '', xmax: '', yAxisLabel: '',
    yAxisProperty: 'y', yAxisPropertyType: 'property', ymin: '', ymax: '', bins: 10, action: 'append',
    stackSeries: false, pointShape: 'false', pointRadius: 2, showLegend: true, removeOlder: '24',
    removeOlderUnit: '3600', removeOlderPoints: '2000',
    colors: ['#d9480f', '#1c7ed6', '#2b8a3e', '#7048e8', '#e8a50a', '#c2255c', '#0b7285', '#495057', '#862e9c'],
    textColor: ['#56636f'], textColorDefault: false, gridColor: ['#e4e8ec'], gridColorDefault: false,
    width: '0', height: '5', className: '', interpolation: 'linear', x: 820, y, wires: [[]],
});

const flow = [
    { id: TAB, type: 'tab', label: 'sensorgw', disabled: false, info: read('about.md'), env: [] },
    {
        id: TLS, type: 'tls-config', name: 'our certificate', cert: '${SENSORGW_CERT}', key: '${SENSORGW_KEY}',
        ca: '${SENSORGW_CA}', certname: '', keyname: '', caname: '', servername: '', verifyservercert: true, alpnprotocol: '',
    },
    {
        id: BROKER, type: 'mqtt-broker', name: 'RabbitMQ', broker: '${SENSORGW_MQTT_HOST}', port: '${SENSORGW_MQTT_PORT}',
        tls: TLS, clientid: '${SENSORGW_CLIENT_ID}', autoConnect: true, usetls: true, protocolVersion: '4', keepalive: '30',
        cleansession: false, autoUnsubscribe: false, birthTopic: '', birthQos: '0', birthRetain: 'false', birthPayload: '',
        birthMsg: {}, closeTopic: '', closeQos: '0', closeRetain: 'false', closePayload: '', closeMsg: {}, willTopic: '',
        willQos: '0', willRetain: 'false', willPayload: '', willMsg: {}, userProps: '', sessionExpiry: '',
    },
    mqttIn(20, 'sensors/#', 100, id(21)),
    code(21, 'reading, once', 'reading.js', 3, 300, 100, [[id(22), id(23)], [id(24)], [id(34)]]),
    code(22, 'watch', 'watch.js', 2, 520, 160, [[id(30), id(31)], [id(25), id(26)]]),
    code(23, 'points', 'points.js', 2, 520, 60, [[id(32)], [id(33)]]),
    on({ id: id(24), type: 'debug', name: 'turned away', active: true, tosidebar: true, console: true, tostatus: false,
         complete: 'true', targetType: 'full', statusVal: '', statusType: 'auto', x: 530, y: 110, wires: [] }),
    on({ id: id(25), type: 'debug', name: 'alarm', active: true, tosidebar: true, console: true, tostatus: false,
         complete: 'true', targetType: 'full', statusVal: '', statusType: 'auto', x: 810, y: 280, wires: [] }),
    on({ id: id(26), type: 'link out', name: 'silent or failing', mode: 'link', links: [], x: 765, y: 320, wires: [] }),
    mqttIn(27, 'gateways/+', 200, id(28)),
    { ...mqttIn(34, '', 240, id(28)), name: 'its retained state', topicType: 'dynamic', inputs: 1 },
    code(28, 'state', 'state.js', 1, 300, 200, [[id(22)]]),
    on({ id: id(29), type: 'inject', name: 'every 2 s', props: [], repeat: '2', crontab: '', once: true, onceDelay: '1',
         topic: '', x: 120, y: 280, wires: [[id(22)]] }),
    template(30, 'sensors', 'cards.vue', id(13), 810, 160),
    template(31, 'gateways', 'gateways.vue', id(16), 820, 220),
    chart(32, 'temperature', id(14), 40),
    chart(33, 'humidity', id(15), 80),
    {
        id: BASE, type: 'ui-base', name: 'sensorgw', path: '/dashboard', appIcon: '', includeClientData: false,
        acceptsClientConfig: [], showPathInSidebar: false, headerContent: 'page', navigationStyle: 'none',
        titleBarStyle: 'default', showReconnectNotification: true, notificationDisplayTime: 1,
        showDisconnectNotification: true, allowInstall: false,
    },
    {
        id: THEME, type: 'ui-theme', name: 'sensorgw',
        colors: { surface: '#1f2a37', primary: '#1c7ed6', bgPage: '#f3f5f7', groupBg: '#ffffff', groupOutline: '#e4e8ec' },
        sizes: { density: 'default', pagePadding: '14px', groupGap: '14px', groupBorderRadius: '14px', widgetGap: '8px' },
    },
    {
        id: PAGE, type: 'ui-page', name: 'Sensors', ui: BASE, path: '/sensors', icon: 'home', layout: 'grid', theme: THEME,
        breakpoints: [
            { name: 'Phone', px: '0', cols: '3' }, { name: 'Tablet', px: '576', cols: '6' },
            { name: 'Small desktop', px: '768', cols: '12' }, { name: 'Desktop', px: '1024', cols: '12' },
        ],
        order: 1, className: 'sgw-page', visible: 'true', disabled: 'false',
    },
    group(13, 'Now', '12', 1, false),
    group(14, 'Temperature, °C', '6', 2, true),
    group(15, 'Humidity, %', '6', 3, true),
    group(16, 'Gateways', '12', 4, true),
];

const file = path.join(__dirname, '..', 'flows.json');
const text = `${JSON.stringify(flow, null, 2)}\n`;
if (process.argv[2] === '--check') {
    if (fs.readFileSync(file, 'utf8') !== text) {
        console.error('flows.json is not what source/build.js makes');
        process.exit(1);
    }
} else {
    fs.writeFileSync(file, text);
}
