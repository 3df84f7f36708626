// A reading becomes one point for each chart, at the time when it was taken.

const { values, time } = msg.payload;
const point = (name) => (name in values ? { topic: msg.topic, payload: { x: time, y: values[name] } } : null);
return [point('temperature'), point('humidity')];
