// A message of sensors/# becomes a reading, or nothing.
//
// Outputs: 1 readings, once each; 2 what was turned away, and why; 3 a subscription to the state of a
// gateway that was not known: RabbitMQ gives a retained message only to its exact topic.

const ENVELOPE = ['id', 'time', 'gateway', 'sensor', 'late', 'clock'];
const QUANTITIES = 8; // a gateway sends no more in one reading
const REMEMBERED = 5000; // ids for each gateway: more than it can send again after a lost connection
const counters = flow.get('counters') || { readings: 0, duplicates: 0, rejected: 0 };

function turnedAway(why) {
    counters.rejected += 1;
    flow.set('counters', counters);
    node.status({ fill: 'red', shape: 'ring', text: why });
    return [null, { topic: msg.topic, payload: why }];
}

const [, gateway, sensor, ...rest] = msg.topic.split('/');
if (sensor === '_check') return null; // the probe of `sensorgw check`

let reading;
try {
    reading = JSON.parse(msg.payload);
} catch (error) {
    return turnedAway('no JSON');
}
if (reading === null || typeof reading !== 'object' || Array.isArray(reading)) return turnedAway('no object');
if (rest.length || reading.gateway !== gateway || reading.sensor !== sensor) return turnedAway('names another topic');
if (!/^[0-9a-f]{8}-\d+$/.test(reading.id)) return turnedAway('no id');
const time = Date.parse(reading.time);
if (!Number.isFinite(time)) return turnedAway('no time');
const values = Object.entries(reading).filter(([name]) => !ENVELOPE.includes(name));
if (!values.length || !values.every(([, value]) => Number.isFinite(value))) return turnedAway('no numbers');
if (values.length > QUANTITIES) return turnedAway('too many numbers');

// At least once means sometimes twice: the same gateway and id is the same reading.
const seen = context.get('seen') || new Map();
const stranger = !seen.has(gateway);
const ids = seen.get(gateway) || new Set();
seen.set(gateway, ids);
context.set('seen', seen);
if (ids.has(reading.id)) {
    counters.duplicates += 1;
    flow.set('counters', counters);
    return null;
}
ids.add(reading.id);
if (ids.size > REMEMBERED) ids.delete(ids.values().next().value);

counters.readings += 1;
flow.set('counters', counters);
node.status({ fill: 'green', shape: 'dot', text: `${counters.readings} readings` });
return [{
    topic: `${gateway}/${sensor}`,
    payload: {
        gateway, sensor, time, id: reading.id,
        late: reading.late === true,
        unsure: reading.clock === 'unsynchronised',
        values: Object.fromEntries(values),
    },
}, null, stranger ? { action: 'subscribe', topic: `gateways/${gateway}`, qos: 1 } : null];
