// A message of gateways/# becomes the last known state of that gateway.

const gateway = msg.topic.split('/')[1];
let state;
try {
    state = JSON.parse(msg.payload);
} catch (error) {
    return null;
}
if (state === null || typeof state !== 'object' || typeof state.state !== 'string') return null;

const gateways = flow.get('gateways') || {};
const known = gateways[gateway] || {};
gateways[gateway] = state.state === 'online'
    ? { ...state, at: Date.now() }
    : { ...known, state: state.state, at: Date.now() }; // a will says no more than "offline"
flow.set('gateways', gateways);
return { topic: gateway, payload: state };
