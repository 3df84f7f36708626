/* SPDX-License-Identifier: MIT */
#include "core/diagnosis_words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/payload.h"

enum { LIST_LENGTH = 256 }; /* of ciphers that are told */

struct words {
    char *at;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words, const char *format,
                                                      ...) {
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(words->at, words->size, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    if ((size_t)n >= words->size)
        n = (int)words->size - 1;
    words->at += n;
    words->size -= (size_t)n;
}

/* The journal stamps local time: say which this is. */
static void say_time(struct words *words, int64_t seconds) {
    char text[PAYLOAD_TIME_SIZE];

    if (payload_render_time(seconds * 1000000, text, sizeof(text)) < 0)
        return;
    text[strlen("2026-11-22")] = ' ';
    say(words, "%.*s UTC", (int)strlen("2026-11-22 18:07"), text);
}

/* ---- what a {word} in the table below stands for ---- */

/* Without its port. */
static void say_host(struct words *words, const struct attempt *attempt) {
    const char *colon = strrchr(attempt->broker, ':');

    say(words, "%.*s", colon ? (int)(colon - attempt->broker) : 0, attempt->broker);
}

static void say_address(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->address);
}

static void say_name(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->name);
}

/* As the certificate would have to say it: an address is no DNS name. */
static void say_wanted(struct words *words, const struct attempt *attempt) {
    bool is_address =
        strchr(attempt->name, ':') || strspn(attempt->name, "0123456789.") == strlen(attempt->name);

    say(words, "%s%s", is_address ? "IP:" : "", attempt->name);
}

static void say_detail(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->detail);
}

static void say_parenthesis(struct words *words, const struct attempt *attempt) {
    if (attempt->detail[0])
        say(words, " (%s)", attempt->detail);
}

static void say_file(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->file);
}

static void say_trust(struct words *words, const struct attempt *attempt) {
    say(words, attempt->ca ? "tls.ca" : "this system's store of CAs (tls.ca is not set)");
}

static void say_gateway(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->gateway);
}

/* As whom the broker knows us. */
static void say_user(struct words *words, const struct attempt *attempt) {
    const char *common_name = strstr(attempt->own.subject, "CN=");

    if (attempt->username)
        say(words, "%s", attempt->username);
    else if (common_name)
        say(words, "%.*s", (int)strcspn(common_name + 3, ","), common_name + 3);
    else
        say(words, "%s", attempt->gateway);
}

static void say_now(struct words *words, const struct attempt *attempt) {
    say(words,
        attempt->clock_synchronised ? "our clock says " : "our clock, not synchronised, says ");
    say_time(words, attempt->now);
}

static void say_theirs(struct words *words, const struct attempt *attempt) {
    say(words, attempt->refused_depth == 0 ? "its certificate %s" : "the CA %s of its certificate",
        attempt->refused.subject);
}

static void say_issuer(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->refused.issuer);
}

static void say_names(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->refused.names);
}

static void say_their_begin(struct words *words, const struct attempt *attempt) {
    say_time(words, attempt->refused.not_before);
}

static void say_their_end(struct words *words, const struct attempt *attempt) {
    say_time(words, attempt->refused.not_after);
}

static void say_own(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->own.subject);
}

static void say_own_issuer(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->own.issuer);
}

static void say_own_begin(struct words *words, const struct attempt *attempt) {
    say_time(words, attempt->own.not_before);
}

static void say_own_end(struct words *words, const struct attempt *attempt) {
    say_time(words, attempt->own.not_after);
}

static void say_versions(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->versions);
}

static void say_session(struct words *words, const struct attempt *attempt) {
    say(words, "%s %s", attempt->version, attempt->cipher);
}

static bool allows(const struct attempt *attempt, const char *version) {
    return !attempt->versions || strstr(attempt->versions, version);
}

/* A configured list has no bound: of a long one the first names are told. */
static void say_list(struct words *words, const char *list) {
    size_t length = strlen(list);

    if (length > LIST_LENGTH)
        for (length = LIST_LENGTH; length > 0 && list[length] != ':';)
            length--;
    say(words, "%.*s%s", (int)length, list, list[length] ? " and more" : "");
}

static void say_offer(struct words *words, const struct attempt *attempt) {
    if (allows(attempt, "1.2")) {
        say(words, " for TLS 1.2 ");
        say_list(words, attempt->ciphers ? attempt->ciphers
                                         : "the default (ECDHE with AES-GCM or ChaCha20-Poly1305)");
    }
    if (allows(attempt, "1.2") && allows(attempt, "1.3"))
        say(words, ",");
    if (allows(attempt, "1.3")) {
        say(words, " for TLS 1.3 ");
        say_list(words, attempt->ciphersuites ? attempt->ciphersuites : "OpenSSL's default");
    }
    if (attempt->own.is_present)
        say(words, "; our own key is %s", attempt->own.key_type);
}

static void say_alert(struct words *words, const struct attempt *attempt) {
    char alert[64];

    if (attempt->alert_received <= ALERT_CLOSE_NOTIFY)
        return;
    alert_describe(attempt->alert_received, alert, sizeof(alert));
    say(words, "; the broker answered alert %s", alert);
}

static void say_topic(struct words *words, const struct attempt *attempt) {
    say(words, "%s", attempt->topic);
}

static void say_connack(struct words *words, const struct attempt *attempt) {
    say(words, "CONNACK %d", attempt->connack);
}

static void say_lives(struct words *words, const struct attempt *attempt) {
    say(words, "%u", attempt->short_lives);
}

static const struct {
    const char *word;
    void (*say)(struct words *words, const struct attempt *attempt);
} vocabulary[] = {
    { "host", say_host },
    { "address", say_address },
    { "name", say_name },
    { "wanted", say_wanted },
    { "detail", say_detail },
    { "(detail)", say_parenthesis },
    { "file", say_file },
    { "trust", say_trust },
    { "gateway", say_gateway },
    { "user", say_user },
    { "clock", say_now },
    { "theirs", say_theirs },
    { "issuer", say_issuer },
    { "names", say_names },
    { "their begin", say_their_begin },
    { "their end", say_their_end },
    { "own", say_own },
    { "own issuer", say_own_issuer },
    { "own begin", say_own_begin },
    { "own end", say_own_end },
    { "versions", say_versions },
    { "session", say_session },
    { "offer", say_offer },
    { "alert", say_alert }, /* nothing without one */
    { "topic", say_topic },
    { "connack", say_connack },
    { "lives", say_lives },
};

/* ---- when one cause has several sentences ---- */

static bool was_late(const struct attempt *attempt) {
    return attempt->timed_out;
}

static bool heard_alert(const struct attempt *attempt) {
    return attempt->alert_received > ALERT_CLOSE_NOTIFY;
}

static bool sent_alert(const struct attempt *attempt) {
    return attempt->alert_sent == ALERT_PROTOCOL_VERSION;
}

static bool needs_crl(const struct attempt *attempt) {
    return attempt->distrust == DISTRUST_CRL;
}

static bool is_odd(const struct attempt *attempt) {
    return attempt->distrust == DISTRUST_OTHER;
}

static bool has_namesake(const struct attempt *attempt) {
    return attempt->issuer_has_namesake;
}

static bool is_self_signed(const struct attempt *attempt) {
    return strcmp(attempt->refused.subject, attempt->refused.issuer) == 0;
}

static bool is_authority(const struct attempt *attempt) {
    return attempt->refused_depth > 0;
}

static bool is_own_root(const struct attempt *attempt) {
    return is_authority(attempt) && is_self_signed(attempt);
}

static bool has_no_names(const struct attempt *attempt) {
    return attempt->refused.names[0] == '\0';
}

static bool is_local(const struct attempt *attempt) {
    return attempt->local != CAUSE_NONE;
}

static bool is_pinned_low(const struct attempt *attempt) {
    return !allows(attempt, "1.3");
}

static bool is_pinned_high(const struct attempt *attempt) {
    return !allows(attempt, "1.2");
}

static bool broke_pin(const struct attempt *attempt) {
    return attempt->pin_broken;
}

static bool has_username(const struct attempt *attempt) {
    return attempt->username != NULL;
}

static bool has_both_logins(const struct attempt *attempt) {
    return attempt->username && attempt->own.is_present;
}

static bool is_revoked(const struct attempt *attempt) {
    return attempt->alert_received == ALERT_CERTIFICATE_REVOKED;
}

static bool is_own_self_signed(const struct attempt *attempt) {
    return strcmp(attempt->own.subject, attempt->own.issuer) == 0;
}

static bool is_past(const struct attempt *attempt) {
    return attempt->now > attempt->own.not_after;
}

static bool is_early(const struct attempt *attempt) {
    return attempt->now < attempt->own.not_before;
}

static bool is_missing(const struct attempt *attempt) {
    return attempt->error == ENOENT;
}

static bool is_forbidden(const struct attempt *attempt) {
    return attempt->error == EACCES;
}

static bool is_password(const struct attempt *attempt) {
    return attempt->file_is_password;
}

static bool has_connack(const struct attempt *attempt) {
    return attempt->connack > 0;
}

static bool is_greeting(const struct attempt *attempt) {
    return attempt->phase == ATTEMPT_CONNACK;
}

static bool is_greeting_late(const struct attempt *attempt) {
    return is_greeting(attempt) && attempt->timed_out;
}

/* ---- the words themselves: of a cause's rows the first that applies ---- */

/* clang-format off: a row reads as a paragraph */
static const struct wording {
    enum cause cause;
    bool (*applies)(const struct attempt *attempt); /* NULL: always */
    const char *sentence;
    const char *cure;
} wordings[] = {
    /* before TLS */
    { CAUSE_NAME_UNRESOLVED, was_late, "no name server answered in time",
      "Check this machine's network and name server: getent hosts {host}." },
    { CAUSE_NAME_UNRESOLVED, NULL, "the name cannot be resolved{(detail)}",
      "Check the spelling of brokers.host, and this machine's name server: getent hosts {host}." },
    { CAUSE_UNREACHABLE, NULL, "{address} cannot be reached{(detail)}",
      "Check cable or Wi-Fi, and the way there: ip route get {address}. Readings are kept." },
    { CAUSE_REFUSED, NULL, "{address} refuses the connection: nothing listens on this port",
      "Start the broker, or correct brokers.port (MQTT over TLS is 8883)." },
    { CAUSE_CONNECT_TIMEOUT, NULL, "{address} does not answer",
      "Check that the machine is on, and that no firewall in between drops this port." },
    /* no handshake */
    { CAUSE_NOT_TLS, NULL, "what answers on this port does not speak TLS",
      "Use the broker's TLS port (mostly 8883; 1883 is the one without)." },
    { CAUSE_TLS_TIMEOUT, NULL,
      "the connection was taken, and the TLS handshake not answered in time",
      "Look for an overloaded broker, or a proxy that waits; the broker's log may say more." },
    { CAUSE_CLOSED_IN_HANDSHAKE, heard_alert, "the broker ended the TLS handshake{alert}",
      "The broker's log says why." },
    { CAUSE_CLOSED_IN_HANDSHAKE, NULL,
      "the connection was closed in the middle of the TLS handshake{(detail)}",
      "Look into the broker's log. A port without TLS (1883), a proxy and a broker that is just "
      "starting do this too." },
    /* we refuse the broker */
    { CAUSE_UNTRUSTED_CA, needs_crl, "{theirs} cannot be checked against tls.crl: {detail}",
      "Put a current revocation list of {issuer} into tls.crl, or take tls.crl out." },
    { CAUSE_UNTRUSTED_CA, is_odd, "{theirs} is not believed: {detail}",
      "Issue the broker a sound certificate (sensorgw-pki broker {name})." },
    { CAUSE_UNTRUSTED_CA, has_namesake,
      "{theirs} was signed by another CA than the one in {trust}, though both are called {issuer}",
      "That CA was made anew, or somebody poses as it. If it was made anew, put the new one into "
      "tls.ca too; the file may hold several." },
    { CAUSE_UNTRUSTED_CA, is_own_root,
      "its certificate comes from {issuer}, which {trust} does not hold",
      "If that is the right CA, put it into tls.ca; the file may hold several." },
    { CAUSE_UNTRUSTED_CA, is_self_signed,
      "{theirs} is signed by itself, and {trust} does not hold it",
      "Issue the broker a certificate of your CA (sensorgw-pki broker {name}), or put this very "
      "one into tls.ca." },
    { CAUSE_UNTRUSTED_CA, NULL, "{theirs} was issued by {issuer}, which {trust} does not hold",
      "If that is the right CA, put it into tls.ca (the file may hold several). If it is one in "
      "between, the broker must send it along: RabbitMQ's certfile holds the whole chain." },
    { CAUSE_EXPIRED, is_authority, "{theirs} expired on {their end}; {clock}",
      "Make a new CA, put it into tls.ca beside this one, and have the broker's certificate issued "
      "by it. If our clock is wrong, set it (timedatectl)." },
    { CAUSE_EXPIRED, NULL, "{theirs} expired on {their end}; {clock}",
      "Renew it on the broker's side (sensorgw-pki renew). If our clock is wrong, set it "
      "(timedatectl)." },
    { CAUSE_NOT_YET_VALID, NULL, "{theirs} is valid from {their begin} only; {clock}",
      "Our clock is synchronised, so set the one of the machine that issued it, and issue it "
      "anew." },
    { CAUSE_CLOCK_WRONG, NULL, "{theirs} is valid from {their begin} only; {clock}",
      "Let this machine's clock synchronise (timedatectl). Readings are kept, and get their right "
      "time then." },
    { CAUSE_NAME_MISMATCH, has_no_names,
      "{theirs} carries no names at all (subjectAltName), so it is not one for {wanted}",
      "Issue it anew with its names: sensorgw-pki broker {name}. openssl x509 -req drops the names "
      "of a request, unless -copy_extensions copy or -extfile gives them." },
    { CAUSE_NAME_MISMATCH, NULL, "{theirs} is for {names}, not for {wanted}",
      "Set brokers.host or brokers.name to a name that it has, or issue it anew: sensorgw-pki "
      "broker {name}." },
    { CAUSE_REVOKED, NULL, "{theirs} is revoked: tls.crl lists it",
      "Find out why before anything else; then give the broker a new certificate." },
    { CAUSE_WRONG_PURPOSE, NULL, "{theirs} is not one for a server (extendedKeyUsage)",
      "Issue one with serverAuth: sensorgw-pki broker {name}." },
    { CAUSE_WEAK_KEY, is_local, "our certificate {file} is too weak to be used{(detail)}",
      "Have one issued with an EC P-256 or an RSA key of 2048 bits, signed with SHA-256 "
      "(sensorgw-pki client {gateway})." },
    { CAUSE_WEAK_KEY, NULL, "{theirs} is too weak to be believed{(detail)}",
      "Issue one with an EC P-256 or an RSA key of 2048 bits, signed with SHA-256." },
    /* nothing in common */
    { CAUSE_PROTOCOL_VERSION, is_local, "{file} = {versions} cannot be had here: {detail}",
      "Allow another version, or correct this machine's openssl.cnf." },
    { CAUSE_PROTOCOL_VERSION, broke_pin,
      "the broker agreed on {session}, which is not allowed here",
      "This should not happen: please report it." },
    { CAUSE_PROTOCOL_VERSION, is_pinned_low,
      "no TLS version in common. We allow {versions} (tls.version){alert}",
      "Either allow 1.3 here (tls.version = \"1.2-1.3\"), or let the broker speak 1.2 (RabbitMQ: "
      "ssl_options.versions.1 = tlsv1.2)." },
    { CAUSE_PROTOCOL_VERSION, is_pinned_high,
      "no TLS version in common. We allow {versions} (tls.version){alert}",
      "Either allow 1.2 here (tls.version = \"1.2-1.3\"), or let the broker speak 1.3 (RabbitMQ: "
      "ssl_options.versions.1 = tlsv1.3)." },
    { CAUSE_PROTOCOL_VERSION, sent_alert,
      "no TLS version in common. We allow {versions}; the broker chose an older one",
      "Let the broker speak 1.2 or 1.3 (RabbitMQ: ssl_options.versions.1 = tlsv1.2). What is older "
      "is broken, and not spoken here." },
    { CAUSE_PROTOCOL_VERSION, NULL, "no TLS version in common. We allow {versions}{alert}",
      "Let the broker speak 1.2 or 1.3 (RabbitMQ: ssl_options.versions.1 = tlsv1.2). What is older "
      "is broken, and not spoken here." },
    { CAUSE_NO_SHARED_CIPHER, is_local, "{file} cannot be had here: {detail}",
      "Name other ciphers, or correct this machine's openssl.cnf." },
    { CAUSE_NO_SHARED_CIPHER, NULL,
      "no cipher in common (\"insufficient security\"). We offer{offer}{alert}",
      "Compare tls.ciphers and tls.ciphersuites with the broker's (RabbitMQ: ssl_options.ciphers): "
      "sensorgw check asks it one by one. ECDSA ciphers need an EC key on the broker, RSA ciphers "
      "an RSA key." },
    /* the broker refuses us */
    { CAUSE_CERTIFICATE_REQUIRED, has_username,
      "the broker wants a client certificate beside the user name, and tls.certificate is not "
      "set{alert}",
      "Set tls.certificate and tls.key (sensorgw-pki client {gateway} makes them), or let the "
      "broker do without (RabbitMQ: ssl_options.fail_if_no_peer_cert = false)." },
    { CAUSE_CERTIFICATE_REQUIRED, NULL,
      "the broker wants a client certificate, and tls.certificate is not set{alert}",
      "Set tls.certificate and tls.key (sensorgw-pki client {gateway} makes them)." },
    { CAUSE_CERTIFICATE_REJECTED, is_revoked,
      "the broker says that our certificate {own} is revoked{alert}",
      "Find out why; then have a new one made (sensorgw-pki client {gateway})." },
    { CAUSE_CERTIFICATE_REJECTED, heard_alert,
      "the broker refuses our certificate {own}, issued by {own issuer}{alert}",
      "The broker's log says why. Mostly the CA in its list (RabbitMQ: ssl_options.cacertfile) is "
      "not the one that issued our certificate." },
    { CAUSE_CERTIFICATE_REJECTED, NULL,
      "the broker closed the connection as soon as it had our certificate {own}, without a word: "
      "under TLS 1.3 a refusal can look so",
      "The broker's log says why. Mostly the CA in its list (RabbitMQ: ssl_options.cacertfile) is "
      "not {own issuer}." },
    { CAUSE_OWN_CERTIFICATE_EXPIRED, is_past,
      "the broker refuses our certificate {own}: it expired on {own end}; {clock}{alert}",
      "Renew it (sensorgw-pki renew {user}) and copy it over: taken at the next try, no restart. "
      "If our clock is wrong, set it (timedatectl)." },
    { CAUSE_OWN_CERTIFICATE_EXPIRED, is_early,
      "the broker refuses our certificate {own}: it is valid from {own begin} only; {clock}{alert}",
      "Set the clock that is wrong: ours (timedatectl), or that of the machine which issued it; "
      "then renew it (sensorgw-pki renew {user})." },
    { CAUSE_OWN_CERTIFICATE_EXPIRED, NULL,
      "the broker says that our certificate {own} has expired: it is valid from {own begin} to "
      "{own end}, and {clock}{alert}",
      "One of the two clocks is wrong: set the broker's, or ours (timedatectl)." },
    { CAUSE_OWN_CERTIFICATE_UNKNOWN_CA, is_own_self_signed,
      "the broker refuses our certificate {own}: it is signed by itself, not by a CA that the "
      "broker knows{alert}",
      "Have one issued by the broker's CA (sensorgw-pki client {user}), and install it with its "
      "key: taken at the next try, no restart." },
    { CAUSE_OWN_CERTIFICATE_UNKNOWN_CA, NULL,
      "the broker does not know {own issuer}, which issued our certificate {own}{alert}",
      "Add that CA to the broker's list (RabbitMQ: ssl_options.cacertfile may hold several), or "
      "have our certificate issued by one that it knows." },
    { CAUSE_OWN_CERTIFICATE_PURPOSE, NULL,
      "the broker refuses our certificate {own}: it is not one for a client "
      "(extendedKeyUsage){alert}",
      "Have one issued with clientAuth: sensorgw-pki client {user}." },
    /* our own files */
    { CAUSE_KEY_MISMATCH, NULL, "tls.key {file} does not belong to our certificate {own}",
      "Install both files of the pair; mostly one was renewed without the other." },
    { CAUSE_UNREADABLE_FILE, is_missing, "{file} is not there",
      "Put it there, or correct its name in the configuration: taken at the next try, no "
      "restart." },
    { CAUSE_UNREADABLE_FILE, is_forbidden, "{file} may not be read by the service's user",
      "chown root:sensorgw {file}; chmod 0640 {file}; the folders above it must be open to the "
      "group too." },
    { CAUSE_UNREADABLE_FILE, is_password, "mqtt.password_file {file} cannot be used{(detail)}",
      "The password, or the token, stands alone on its first line." },
    { CAUSE_UNREADABLE_FILE, NULL, "{file} cannot be used{(detail)}",
      "It must be whole, and in PEM form: it begins with -----BEGIN." },
    { CAUSE_BAD_PASSPHRASE, NULL, "tls.key {file} cannot be decrypted: {detail}",
      "Put its passphrase on the first line of a file, and name that in tls.passphrase_file." },
    { CAUSE_KEY_PERMISSIONS, NULL,
      "{file} is open to others{(detail)}: it is not used until that is mended",
      "chown root:sensorgw {file}; chmod 0640 {file}. If somebody may have read it, have a new one "
      "made." },
    /* MQTT says no */
    { CAUSE_UNKNOWN_USER, has_both_logins,
      "the broker refuses the user name {user} or its password ({connack}); while mqtt.username is "
      "set, our certificate does not count",
      "Correct mqtt.username and mqtt.password_file, or take both out: the certificate alone is a "
      "login too." },
    { CAUSE_UNKNOWN_USER, has_username,
      "the broker refuses the user name {user} or its password ({connack})",
      "Correct mqtt.username and mqtt.password_file; they are read anew at each try." },
    { CAUSE_UNKNOWN_USER, NULL,
      "our certificate {own} is good, but the broker has no user {user} ({connack})",
      "Add the user on the broker (sudo conf/rabbitmq/provision gateway {user}), or let it take "
      "names from certificates (mqtt.ssl_cert_login = true)." },
    { CAUSE_NOT_AUTHORISED, NULL,
      "the broker knows the user {user}, and lets it do nothing ({connack})",
      "Give it a gateway's permissions on the broker (sudo conf/rabbitmq/provision gateway "
      "{user})." },
    { CAUSE_PROTOCOL_UNSUPPORTED, NULL, "the broker does not speak MQTT 3.1.1 ({connack})",
      "Use a broker that does; all current ones do." },
    { CAUSE_BROKER_UNAVAILABLE, NULL, "the broker says that it cannot serve just now ({connack})",
      "Look at its nodes (rabbitmqctl cluster_status): in a cluster too few may be up. Readings "
      "are kept." },
    { CAUSE_CLIENT_ID_TAKEN, has_connack,
      "the broker does not like our client id sensorgw-{gateway} ({connack})",
      "Its log says why: a rule for client ids, or an id that is bound to another user." },
    { CAUSE_CLIENT_ID_TAKEN, NULL,
      "the last {lives} connections ended soon after they were accepted: another client seems to "
      "use our id sensorgw-{gateway}",
      "Look for a second gateway of this name, or a copy of this machine." },
    /* accepted, then nothing */
    { CAUSE_BROKER_SILENT, is_greeting_late,
      "TLS stands, but the broker does not answer MQTT's CONNECT",
      "Look for a memory or disk alarm on the broker (rabbitmqctl status). Readings are kept." },
    { CAUSE_BROKER_SILENT, is_greeting,
      "TLS stands, but the broker closed the connection instead of answering MQTT's CONNECT",
      "Look for a memory or disk alarm on the broker (rabbitmqctl status); its log may say more. "
      "Readings are kept." },
    { CAUSE_BROKER_SILENT, NULL, "the broker no longer answers, not even a ping",
      "Look at the network, and for a memory or disk alarm on the broker (rabbitmqctl status). "
      "Readings are kept." },
    { CAUSE_PUBACK_TIMEOUT, NULL,
      "the broker takes what we publish to {topic}, and does not acknowledge it",
      "Check that the user {user} may write to the exchange amq.topic (rabbitmqctl "
      "list_user_permissions {user}), and that the queues can take it. Readings are kept." },
    { CAUSE_PUBLISH_FORBIDDEN, NULL, "the broker closes the connection when we publish to {topic}",
      "Give the user {user} a gateway's permissions on the broker (sudo conf/rabbitmq/provision "
      "gateway {user}); a gateway of another name than its user's is refused. Readings are kept." },
    { CAUSE_CONNECTION_LOST, NULL, "the connection was lost{(detail)}",
      "Nothing to do if it comes back by itself. Readings are kept." },
};
/* clang-format on */

static const struct wording *find_wording(const struct attempt *attempt, enum cause cause) {
    const struct wording *at = wordings;

    while (at->cause != CAUSE_CONNECTION_LOST &&
           (at->cause != cause || (at->applies && !at->applies(attempt))))
        at++;
    return at;
}

static void say_word(struct words *words, const char *word, size_t length,
                     const struct attempt *attempt) {
    for (size_t i = 0; i < sizeof(vocabulary) / sizeof(*vocabulary); i++)
        if (strncmp(vocabulary[i].word, word, length) == 0 && vocabulary[i].word[length] == '\0')
            vocabulary[i].say(words, attempt);
}

static void say_all(struct words *words, const char *text, const struct attempt *attempt) {
    while (*text) {
        size_t plain = strcspn(text, "{");
        size_t length = strcspn(text + plain, "}");

        say(words, "%.*s", (int)plain, text);
        text += plain;
        if (*text == '{') {
            say_word(words, text + 1, length - 1, attempt);
            text += length + 1;
        }
    }
}

void diagnosis_describe(const struct attempt *attempt, struct diagnosis *diagnosis) {
    struct words sentence = { diagnosis->sentence, sizeof(diagnosis->sentence) };
    struct words cure = { diagnosis->cure, sizeof(diagnosis->cure) };
    const struct wording *wording = find_wording(attempt, diagnosis->cause);

    diagnosis->sentence[0] = '\0';
    diagnosis->cure[0] = '\0';
    say(&sentence, "%s: ", attempt->broker);
    say_all(&sentence, wording->sentence, attempt);
    say_all(&cure, wording->cure, attempt);
}
