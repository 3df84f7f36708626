/* SPDX-License-Identifier: MIT */
#include "core/catalogue.h"

#include <string.h>

/* clang-format off: one entry reads as a paragraph */
static const struct catalogue_entry entries[] = {
    /* before TLS */
    { "name-unresolved", "3ceaaf308142c8ea91d93080f9b439fc", "The broker's name cannot be resolved",
      "No name server gave an address for the host in `brokers`, or none answered "
      "within timeouts.resolve_s.",
      "Check the spelling of brokers.host and this machine's name server (`getent "
      "hosts NAME`). An address instead of a name works too; set brokers.name to the "
      "name in the broker's certificate then." },
    { "unreachable", "9dfb369bab13dfae627655daa05f1119", "The broker cannot be reached",
      "The network refused the connection: no route, no interface, or a router said "
      "no.",
      "Check cable or Wi-Fi, address and routes (`ip route get ADDRESS`). Readings "
      "are kept and sent when the way is free." },
    { "refused", "6301bbfca0c5154e0ff9bb510944fe0c", "Nothing listens on the broker's port",
      "The broker's machine answered, and said that no program listens on this port.",
      "Start the broker, or correct brokers.port: MQTT over TLS is 8883." },
    { "connect-timeout", "6fced11d2bd8a1e6047a8387cdde8d51", "The broker does not answer",
      "A connection was asked for and nothing came back within timeouts.connect_s: "
      "mostly a firewall that drops, or a machine that is off.",
      "Check that the machine is on and that the firewalls in between let the port "
      "through." },
    /* no handshake */
    { "not-tls", "3a124c647e02ff05b7c1dce27f7695f5", "The port does not speak TLS",
      "Something answered, but not with TLS: a plain MQTT port, or another service.",
      "Use the broker's TLS port (8883, not 1883). sensorgw has no plain mode." },
    { "tls-timeout", "66080f174c96d8e25cbd0ba3a1a6bcde",
      "The TLS handshake was not finished in time",
      "The connection stands, and the other side keeps silent.",
      "Look for a proxy or an overloaded broker; its log may say more." },
    { "closed-in-handshake", "b120a366f0bbe9cf42f2dc05873f9bd0",
      "The broker closed the connection in the TLS handshake",
      "The other side hung up before TLS stood, without an alert that would say why.",
      "Look into the broker's log. A proxy in between, a broker that is starting, and"
      " a plain port do this too." },
    /* we refuse the broker (its log then speaks of a bad certificate) */
    { "untrusted-ca", "78b7d0ac84773ce0ce4cda11b43c589b",
      "The broker's certificate comes from a CA that is not trusted here",
      "None of the certificates in tls.ca signed it: the file is the wrong one, the CA was made "
      "anew under its old name, a CA in between was not sent along, or somebody else answers in "
      "the broker's name. Or tls.crl is out of date, and nobody can say whether it is revoked. "
      "The broker's log then speaks of a bad certificate or an unknown CA.",
      "Put the CA that issued the broker's certificate into tls.ca; the file may hold"
      " several, so a new CA can be added before the old one goes." },
    { "expired", "2330fcf1562ae4b848668d77e827062c", "The broker's certificate has expired",
      "By this machine's clock it is past the end of the certificate, or of the CA "
      "that issued it.",
      "Renew it where the CA is kept (`sensorgw-pki renew NAME`), install it on the "
      "broker and restart that. If the date in the entry is not today's, set the clock here." },
    { "not-yet-valid", "c1acc9906424550ae36bf9b3ddcb369d",
      "The broker's certificate is not valid yet",
      "It begins later than this machine's clock, which is synchronised.",
      "Check the clock of the machine that issued it, and issue it anew." },
    { "clock-wrong", "9ad9b9a25e78454df065a1c284cc4549", "This machine's clock is wrong",
      "The clock has not been synchronised since boot and is earlier than the "
      "broker's certificate. A Raspberry Pi without a clock chip starts like this.",
      "Let the clock synchronise (`timedatectl`); readings are taken and kept "
      "meanwhile, and get their right time afterwards." },
    { "name-mismatch", "993565976fbaf662f6a730b7b12e9eed",
      "The broker's certificate is for another name",
      "It is issued by a trusted CA, but does not name the host that was asked for. "
      "The subject's common name does not count, only subjectAltName does.",
      "Issue one with the right names (`sensorgw-pki broker NAME ADDRESS`), or set "
      "brokers.name to a name that it has. `openssl x509 -req` drops the names of a "
      "request unless they are given again in -extfile." },
    { "revoked", "8df08078a22ea180c5c2c2af3977a654", "The broker's certificate is revoked",
      "The list in tls.crl says so.",
      "Find out why before anything else. Then give the broker a new certificate." },
    { "wrong-purpose", "f3194a3b381e53e7952c466e473a1797",
      "The broker's certificate is not one for a server", "Its extendedKeyUsage does not allow it.",
      "Issue one with serverAuth (`sensorgw-pki broker NAME`)." },
    { "weak-key", "c498b6e73648245edafa3a387f006745", "A certificate is too weak",
      "Its key is shorter than this machine accepts, or its signature older: RSA under 2048 bits, "
      "or SHA-1. The entry says whether it is the broker's or ours.",
      "Issue one with an EC P-256 or an RSA key of 2048 bits or more, signed with "
      "SHA-256." },
    /* nothing in common */
    { "protocol-version", "ab57f9854332c3da675a2e199b58ba8d", "No TLS version in common",
      "What tls.version allows here and what the broker offers do not meet.",
      "Either allow another version here (tls.version = \"1.2-1.3\"), or let the broker"
      " speak what is allowed here (RabbitMQ: ssl_options.versions.1 = tlsv1.2). "
      "`sensorgw check` asks the broker what it accepts." },
    { "no-shared-cipher", "c1b87f1a7323691b19f9cbef0f69a4d0",
      "No cipher in common (\"insufficient security\")",
      "The ciphers, curves and signatures that both sides allow do not meet, or the "
      "broker's key is of a kind that the list has no cipher for: an RSA-only list "
      "and an EC certificate, for instance.",
      "Compare tls.ciphers with the broker's list (RabbitMQ: ssl_options.ciphers). "
      "`sensorgw check` asks the broker cipher by cipher and says which line to "
      "change." },
    /* the broker refuses us */
    { "certificate-required", "2eb737282fea875e75365e1458294a90",
      "The broker wants a client certificate", "It asks for one, and none is configured here.",
      "Set tls.certificate and tls.key (`sensorgw-pki client GATEWAY` makes them)." },
    { "certificate-rejected", "ac3e0b5bc29177094c1e26038dabf68e",
      "The broker refuses our certificate",
      "It did not say why in a way that can be told from here, and nothing is wrong "
      "with the certificate that can be seen from here.",
      "The broker's log says why. Mostly its CA file is not the one that issued our "
      "certificate, or the certificate is on its revocation list. Under TLS 1.3 the broker may "
      "close without a word." },
    { "own-certificate-expired", "2f314fdb43c48bc764ccdcf9ea5ee53c",
      "Our certificate has expired, or is not valid yet",
      "By this machine's clock it is outside the dates of our own certificate, and "
      "the broker refuses it; or the broker's clock says so alone. A broker checks dates only "
      "when a connection begins.",
      "Renew it (`sensorgw-pki renew GATEWAY`) and copy it over: it is taken at the "
      "next attempt, no restart. If the date in the entry is not today's, set the "
      "clock." },
    { "own-certificate-unknown-ca", "bafe9bd120c5d1529127c47089bf36a2",
      "The broker does not know the CA of our certificate",
      "Our certificate was issued by a CA that is not in the broker's list, or is signed by "
      "itself. RabbitMQ's log then says \"Unknown CA\", or \"Bad Certificate\" of one signed by "
      "itself.",
      "Add that CA to the broker's list (RabbitMQ: ssl_options.cacertfile may hold "
      "several), or have our certificate issued by one that is there." },
    { "own-certificate-purpose", "fe0143729313badffba3fec76ca387b5",
      "Our certificate is not one for a client", "Its extendedKeyUsage does not allow it.",
      "Issue one with clientAuth (`sensorgw-pki client GATEWAY`)." },
    /* our own files */
    { "key-mismatch", "9280ba2e153453fd735771b237d047c9",
      "Our key does not belong to our certificate",
      "tls.key and tls.certificate are not a pair: mostly one of them was renewed "
      "without the other.",
      "Install both files of the pair." },
    { "unreadable-file", "6800e67e527f5da656ec4c60da8f3fe2",
      "A certificate or key file cannot be read",
      "A file of tls, or the password file, is missing, may not be read by the service's user, or "
      "is not whole and in PEM form.",
      "Install it with `install -m 0640 -g sensorgw FILE /etc/sensorgw/`. It is taken"
      " at the next attempt, no restart." },
    { "bad-passphrase", "98daa4bf75592f89b3fb95ee22432045", "Our key cannot be decrypted",
      "It is encrypted, and tls.passphrase_file is not set or holds another passphrase. Nobody is "
      "asked for it.",
      "Put the right passphrase into it, on the first line." },
    { "key-permissions", "b6d9f6f45cdc78b9da6400c790010259", "Our key can be read by others",
      "The mode of tls.key, of the passphrase file or of the password file lets others read, or "
      "its group write. It is not used until that is mended.",
      "`chmod 0640 FILE; chgrp sensorgw FILE`. If others may have read it, have a new"
      " one made." },
    /* MQTT says no */
    { "unknown-user", "6a015b665e4a329cdbe7df00cba497dd", "The broker does not know this user",
      "CONNACK 4. Without mqtt.username: the certificate is good, but the broker has no user of "
      "its common name. With it: the name or the password is wrong, and the certificate does not "
      "count.",
      "Add the user (RabbitMQ: conf/rabbitmq/README.md), or correct mqtt.username and"
      " the password file." },
    { "not-authorised", "365bf63a6659b55404103017ead492d2", "The broker lets this user do nothing",
      "It knows the user and refuses the connection (CONNACK 5).",
      "Give the user permissions on the broker's virtual host." },
    { "protocol-unsupported", "23961c522970e819ae6f8f356f02bfb4",
      "The broker does not speak MQTT 3.1.1", "CONNACK 1.",
      "Use a broker that does; all current ones do." },
    { "broker-unavailable", "48018f5e186391da6bca5daa475d779c", "The broker cannot serve just now",
      "CONNACK 3: in a RabbitMQ cluster too few nodes are up.",
      "Look at the broker's nodes. Readings are kept." },
    { "client-id-taken", "614d292e1f1eabfaa3003324c470d28b", "Another client uses our id",
      "Connections end soon after they are accepted, again and again: a broker closes"
      " the older of two clients with one id. Or the broker does not allow the id (CONNACK 2).",
      "Look for a second gateway with this name, or a copy of this machine." },
    /* accepted, then nothing */
    { "broker-silent", "e9a5642c7d0753e5f6e5c77a2ee05f69", "The broker no longer answers",
      "TLS stands, but CONNECT or a ping has no answer. RabbitMQ does this while a "
      "memory or disk alarm is on, and closes the connection after ten seconds.",
      "Look for an alarm (`rabbitmqctl status`). Readings are kept." },
    { "puback-timeout", "df219833d97b001b3581437a489229e0", "The broker does not acknowledge",
      "Readings were sent, the connection stands, and no PUBACK came within "
      "timeouts.puback_s.",
      "On RabbitMQ the user may lack the permission to write to amq.topic, or a queue"
      " cannot take messages. Readings are kept." },
    { "publish-forbidden", "f054e0b83ce3094db3947d9c777a5bbb", "The broker refuses a topic",
      "It closes the connection when something is published.",
      "Give the user the permission to write to its topics: "
      "`^(sensors\\.{username}\\..+|gateways\\.{username})$`. The gateway's name must be"
      " the certificate's common name. Readings are kept." },
    { "connection-lost", "27f82f946709b347bf0283a32bc318aa", "The connection was lost",
      "It stood, and ended without a word.",
      "Nothing to do if it comes back; it is tried again at once, then less and less "
      "often." },
    /* serial ports and sensors */
    { "device-absent", "90237de7232aa9defed432292ed99a49", "The device is not there",
      "No such port: the board is not plugged in, or has another name. Or no such GPIO chip, line "
      "or device of the kernel.",
      "Plug it in, or correct `device`; `sensorgw ports` lists what there is. For a sensor without "
      "a board see docs/gpio.md. It is looked for once a second." },
    { "device-denied", "521b55ada989d8e5d645f8997a98714f", "The device may not be opened",
      "The service's user has no permission for the port, or for the GPIO chip.",
      "The udev rule gives boards the group dialout and GPIO chips the group gpio; the service's "
      "user is in both. "
      "For a port of another kind see the unit's DeviceAllow=." },
    { "device-busy", "9e450909a8d12dea1ddfc65e144b2080", "Another program holds the device",
      "The port is open elsewhere, or the GPIO line is used by another program or by a driver.",
      "`sudo sensorgw ports` names the program that has a port, `sudo sensorgw check` the one that "
      "has a line. The udev rule keeps ModemManager away." },
    { "device-lost", "13d38b6347e37c09f70c349f6dcb6633", "The device went away",
      "It was open, and hung up: unplugged, or its power failed.",
      "Plug it in again. It is looked for once a second." },
    { "wrong-board", "1e527ff9160ef7a449f1c7e23916e1df", "Another board is plugged in here",
      "The port's configuration names a node, and another one answers. Nothing of it "
      "is published under this name.",
      "Swap the boards back, or change `node`; `!node=N` on its serial line gives a "
      "board another number." },
    { "node-silent", "c51ae08b372775813e57821b6396e022", "The board is silent",
      "The port is open, and no frame has come for three intervals. Or a driver of the kernel does "
      "not return from a read.",
      "Look at the board's power and sketch; `sensorgw monitor` shows what it says." },
    { "frames-damaged", "f0cbb970378b470c76428c7a968a89b8", "Frames arrive damaged",
      "Bytes come, and their checksum disagrees, several times running.",
      "Check `baud`, the cable and its length, and whether two programs share the "
      "port." },
    { "sensor-failing", "a71cb47059208c65f7ef2db5b2ecaa17", "The sensor cannot be read",
      "The board, or the line, is well, but several reads in a row failed. A single one is normal "
      "for a DHT11 and is not "
      "reported.",
      "Look at the sensor's wires and its pull-up. A sensor that hangs comes back "
      "when its power is switched off and on." },
    { "sensor-frozen", "2a4abf0bc32d81c6f8fc1b9f9c323459", "A sensor's value does not move",
      "It has been the same for longer than frozen_h. It is published all the same.",
      "Compare it with another sensor, and replace it if need be." },
    { "sensor-range", "dc19c734aededaaa96aa305ba40f8266",
      "A sensor's values are outside its limits", "They are not published, but counted.",
      "Look at the sensor; widen `limits` if the values are right." },
    /* the spool */
    { "spool-full", "edc282116850360bed84f22be1b2a2ac", "The spool is full",
      "Either the disk is full, or spool.max_mb is reached. The oldest readings are "
      "dropped first, and counted.",
      "Make room or raise spool.max_mb; above all, mend the connection to the broker." },
    { "spool-corrupt", "3ad8132f0e2367c3a5464623b5847c5c", "The spool was corrupt",
      "The database could not be read. It was set aside, a new one was begun, and what "
      "can still be read is salvaged; then it is kept as FILE.corrupt-N.",
      "Nothing, for once. If it happens again, replace the card." },
    { "spool-readonly", "e88edd5050423947d84dbd487b982ff1", "The spool cannot be written",
      "The disk refuses. Readings are kept in memory, and the oldest go first when "
      "that is full.",
      "Look at the disk (`dmesg`) and at the permissions of the spool's folder. It is"
      " tried again every few seconds." },
    { "spool-slow", "d688af4e11a5099ca8b7d9bbf9837120", "The disk is too slow",
      "More comes in than it takes, so the daemon waited for it.",
      "A better card, or durability = \"outage\"." },
    /* What happens */
    { "started", "6d49c9d8a6202e8e6cba2b799e3b3748", "sensorgw has started",
      "The sources are being opened and the broker is being looked for.", NULL },
    { "stopped", "7856881e0461ff9d46933030b63798fa", "sensorgw has stopped",
      "Asked to end. What the broker had not acknowledged is in the spool, unless an entry just "
      "before says that readings were dropped.",
      NULL },
    { "connected", "c3a0f2b94d1e4c55a7d16b8e90f5217c", "Connected to a broker",
      "TLS stands as configured, and the broker has accepted us; the fields name the "
      "version and the cipher.",
      NULL },
    { "configuration-applied", "3e44bc05fa216d55547e7e073ea5fdcb", "The configuration was applied",
      "Its hash is in the field SENSORGW_HASH.", NULL },
    { "configuration-refused", "895434b4355d9c6504b015537408a2b5", "The configuration is unsound",
      "The running one is kept. The entries before this one name each line.",
      "Mend the file and reload: `systemctl reload sensorgw`." },
    { "certificate-replaced", "d3dcf9783c92fd186ac8578d8ba84bc0", "A new certificate is in use",
      "The files were renewed; SENSORGW_OLD and SENSORGW_NEW are the fingerprints (SHA-256).",
      "If nobody renewed it, find out who did." },
    { "ca-replaced", "907437defbc7ddb767fdb4fcd0a8aef4", "New CA certificates are in use",
      "tls.ca has changed; SENSORGW_OLD and SENSORGW_NEW are the fingerprints (SHA-256) of all "
      "that it held and holds.",
      "If nobody changed it, find out who did." },
    { "certificate-refused", "62689db909a7eee79a4f4a9f970a1a4f",
      "Renewed certificate files are unsound", "The old ones stay in use.",
      "The entry says what is wrong with the new files." },
    { "certificate-expires", "23988be390dd5d0f85c49a0c911de6fd", "A certificate is about to expire",
      "Ours, the broker's, or a CA that vouches for it; the entry says which and when. It comes "
      "at tls.expiry_warning_days, at seven days, at one, and when it has run out.",
      "`sensorgw-pki renew NAME`, and copy it over: it is taken at the next connect, "
      "no restart." },
    { "clock-stepped", "eebb6992d1bdc7f099e7121cec7f6b9e", "The clock was set",
      "The difference of wall clock and time since boot has moved; readings of this "
      "boot get their time by the new one.",
      NULL },
    { "readings-dropped", "b26f739506df41fe074160b8a8b79ab6", "Readings were dropped",
      "The count is in the entry, and stays in the gateway's state.", "See spool-full." },
};
/* clang-format on */

enum { ENTRIES = sizeof(entries) / sizeof(*entries) };

const struct catalogue_entry *catalogue_at(size_t index) {
    return index < ENTRIES ? &entries[index] : NULL;
}

const struct catalogue_entry *catalogue_find(const char *name) {
    for (size_t i = 0; i < ENTRIES; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}
