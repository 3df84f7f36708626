// Keeps what is known of each sensor, and judges it: with each reading, each state and each tick.
//
// Outputs: 1 what the dashboard shows; 2 one message for each change to or from trouble.

const STATE_LASTS_MS = 180000; // three intervals: an older state says nothing any more
const SILENT_MS = 30000; // at the least; else five of the sensor's own intervals
const AHEAD_MS = 60000; // a reading from further in the future: its gateway's clock was wrong
const TREND = 90; // readings in the small curve

const now = Date.now();
const sensors = flow.get('sensors') || {};
const gateways = flow.get('gateways') || {};
const reading = msg.payload && msg.payload.values ? msg.payload : null;

if (reading) {
    // What comes late never replaces what is newer, unless that came from a clock that was wrong.
    let known = sensors[msg.topic] || { trend: {}, time: 0, gaps: [] };
    const corrected = reading.time < known.time
        && (known.time > now + AHEAD_MS || (known.unsure && !reading.unsure));
    if (corrected) known = { trend: {}, time: 0, gaps: [] };
    if (reading.time >= known.time) {
        const gaps = known.time ? [...known.gaps, reading.time - known.time].slice(-2) : [];
        sensors[msg.topic] = { ...known, ...reading, gaps, arrived: now };
    }
    for (const [name, value] of Object.entries(reading.values)) {
        const trend = Object.hasOwn(known.trend, name) ? known.trend[name] : [];
        trend.push([reading.time, value]);
        trend.sort((a, b) => a[0] - b[0]);
        known.trend[name] = trend.slice(-TREND);
    }
    flow.set('sensors', sensors);
}

// Gateway up, board silent, sensor failing are three different things.
function judge(sensor) {
    const gateway = gateways[sensor.gateway];
    const fresh = gateway && now - gateway.at < STATE_LASTS_MS;
    if (fresh && gateway.state !== 'online') return { state: 'offline', cause: 'its gateway is offline' };
    const told = fresh && gateway.sensors && gateway.sensors[sensor.sensor];
    if (told && !['ok', 'starting'].includes(told.state)) return { state: told.state, cause: told.cause };
    const interval = sensor.gaps.length ? Math.min(...sensor.gaps) : 0; // the longer may have been an outage
    const patience = Math.max(SILENT_MS, 5 * interval);
    if (now - sensor.arrived > patience) return { state: 'stale', cause: 'nothing has come' };
    if (sensor.late && now - sensor.time > patience) return { state: 'stale', cause: 'only what is old has come' };
    return { state: 'ok' };
}

const cards = Object.entries(sensors).sort().map(([key, sensor]) => ({ key, ...sensor, ...judge(sensor) }));

// A sensor that its gateway knows and that has never sent is shown, too.
for (const [name, gateway] of Object.entries(gateways)) {
    for (const [sensor, told] of Object.entries(gateway.sensors || {})) {
        const key = `${name}/${sensor}`;
        if (!sensors[key]) cards.push({ key, gateway: name, sensor, values: {}, trend: {}, state: told.state, cause: told.cause });
    }
}

const boxes = Object.entries(gateways).sort().map(([name, gateway]) => ({
    name, ...gateway, state: now - gateway.at < STATE_LASTS_MS ? gateway.state : 'unknown', sensors: undefined,
}));

const before = context.get('before') || {};
const alarms = [...cards, ...boxes.map((box) => ({ ...box, key: box.name }))].flatMap((one) => {
    const well = ['ok', 'online', 'starting'].includes(one.state);
    const was = before[one.key];
    before[one.key] = one.state;
    if (was === one.state || (was === undefined && well)) return [];
    if (well && ['ok', 'online', 'starting'].includes(was)) return [];
    return [{ topic: one.key, payload: { state: one.state, cause: one.cause, was, well, at: now } }];
});
context.set('before', before);
node.status({ fill: cards.every((card) => card.state === 'ok') ? 'green' : 'yellow', shape: 'dot', text: `${cards.length} sensors` });

return [{ payload: { now, cards, boxes, counters: flow.get('counters') || {} } }, alarms];
