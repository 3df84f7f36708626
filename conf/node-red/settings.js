// SPDX-License-Identifier: MIT
//
// Node-RED for sensorgw: the dashboard on loopback, no editor unless it has a password, nothing
// that is loaded from elsewhere. README.md beside this file says what each variable is for.

const fs = require('fs');
const { env } = process;

const editor = env.SENSORGW_EDITOR_HASH; // from `node-red admin hash-pw`
const tls = env.SENSORGW_HTTPS_CERT && {
    cert: fs.readFileSync(env.SENSORGW_HTTPS_CERT),
    key: fs.readFileSync(env.SENSORGW_HTTPS_KEY),
    minVersion: 'TLSv1.2',
};

module.exports = {
    flowFile: 'flows.json',
    flowFilePretty: true,

    uiHost: env.SENSORGW_HTTP_HOST || '127.0.0.1',
    uiPort: Number(env.SENSORGW_HTTP_PORT || 1880),
    ...(tls ? { https: tls, requireHttps: true } : {}),

    // Whoever may edit the flow may run programs on this machine: no password, no editor.
    httpAdminRoot: editor ? '/editor' : false,
    adminAuth: editor && {
        type: 'credentials',
        users: [{ username: env.SENSORGW_EDITOR_USER || 'admin', password: editor, permissions: '*' }],
    },

    // A flow cannot fetch modules, and the editor neither.
    externalModules: {
        autoInstall: false,
        palette: { allowInstall: false, allowUpload: false, catalogues: [] },
        modules: { allowInstall: false },
    },
    functionExternalModules: false,
    functionTimeout: 5,
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: { tours: false, projects: { enabled: false }, page: { title: 'sensorgw' } },

    contextStorage: { default: { module: 'memory' } },
    mqttReconnectTime: 2000,
    logging: { console: { level: 'info', metrics: false, audit: false } },
};
