// A reading becomes one point for each chart, at the time when it was taken. One from the future,
// of a gateway whose clock was wrong, would press all the others into the corner.

const { values, time } = msg.payload;
if (time > Date.now() + 60000) return null;
const point = (name) => (name in values ? { topic: msg.topic, payload: { x: time, y: values[name] } } : null);
return [point('temperature'), point('humidity')];
