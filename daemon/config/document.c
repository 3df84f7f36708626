/* SPDX-License-Identifier: MIT */
#include "config/document.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "commands/commands.h"
#include "config/scan.h"
#include "io/log.h"

struct document_block {
    struct document_block *next;
    max_align_t bytes[];
};

void *document_allocate(struct config_document *document, size_t size_bytes) {
    struct document_block *block = calloc(1, sizeof(*block) + size_bytes);

    if (!block) {
        document->out_of_memory = true;
        return NULL;
    }
    block->next = document->blocks;
    document->blocks = block;
    return block->bytes;
}

const char *document_text(struct config_document *document, const char *format, ...) {
    va_list arguments;
    va_list again;
    char *text = NULL;
    int n;

    va_start(arguments, format);
    va_copy(again, arguments);
    n = vsnprintf(NULL, 0, format, arguments);
    if (n >= 0)
        text = document_allocate(document, (size_t)n + 1);
    if (text)
        (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text ? text : "";
}

/* One thing to tell. Warnings do not make the file unsound. */
struct document_finding {
    struct document_finding *next;
    int priority;
    unsigned line; /* 0: of the whole file */
    const char *key;
    const char *sentence;
};

static void note(struct config_document *document, int priority, unsigned line, const char *key,
                 const char *format, va_list arguments) {
    struct document_finding **at = &document->first;
    struct document_finding *finding;
    char sentence[768];

    document->errors += priority == LOG_ERR;
    if (document->findings++ >= DOCUMENT_FINDINGS)
        return;
    finding = document_allocate(document, sizeof(*finding));
    if (!finding || vsnprintf(sentence, sizeof(sentence), format, arguments) < 0)
        return;
    while (*at && (*at)->line <= line)
        at = &(*at)->next;
    *finding = (struct document_finding){
        .next = *at,
        .priority = priority,
        .line = line,
        .key = key ? document_text(document, "%s", key) : NULL,
        .sentence = document_text(document, "%s", sentence),
    };
    *at = finding;
}

static void tell(const char *path, const struct document_finding *finding) {
    char message[1024];
    char line[24];
    struct log_field fields[4] = { { "PATH", path } };
    size_t n = 1;

    if (finding->line > 0) {
        (void)snprintf(message, sizeof(message), "%s:%u: %s", path, finding->line,
                       finding->sentence);
        fields[n++] = (struct log_field){ "LINE", log_number(finding->line, line) };
    } else {
        (void)snprintf(message, sizeof(message), "%s: %s", path, finding->sentence);
    }
    if (finding->key)
        fields[n++] = (struct log_field){ "KEY", finding->key };
    (void)log_emit(finding->priority, 0, message, fields);
}

static bool is_unfilled(const struct document_finding *finding) {
    static const char end[] = DOCUMENT_UNFILLED;
    size_t length = strlen(finding->sentence);

    return finding->key && length >= sizeof(end) - 1 &&
           strcmp(finding->sentence + length - (sizeof(end) - 1), end) == 0;
}

/* A file as it was installed: one entry, with all the lines to fill in. Returns whether it is so.
 */
static bool tell_unfilled(const char *path, const struct document_finding *first) {
    char message[1024];
    char line[24];
    int begun = snprintf(message, sizeof(message), "%.512s: not filled in yet:", path);
    size_t length = begun < 0 ? sizeof(message) : (size_t)begun;
    size_t count = 0;

    for (const struct document_finding *finding = first; finding; finding = finding->next) {
        int n;

        if (!is_unfilled(finding))
            continue;
        n = snprintf(message + length, sizeof(message) - length, "%s line %u (%s)",
                     count++ > 0 ? "," : "", finding->line, finding->key);
        if (n < 0 || (size_t)n >= sizeof(message) - length)
            return false;
        length += (size_t)n;
    }
    if (count < 2)
        return false;
    while (!is_unfilled(first))
        first = first->next;
    (void)log_error(0, message, { "PATH", path }, { "LINE", log_number(first->line, line) },
                    { "KEY", first->key });
    return true;
}

void document_error_at(struct config_document *document, unsigned line, const char *key,
                       const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    note(document, LOG_ERR, line, key, format, arguments);
    va_end(arguments);
}

void document_key_join(char key[static DOCUMENT_KEY_SIZE], const char *group, const char *name) {
    (void)snprintf(key, DOCUMENT_KEY_SIZE, "%.60s%s%.64s", group, group[0] != '\0' ? "." : "",
                   name);
}

void document_key_index(char key[static DOCUMENT_KEY_SIZE], const char *list, size_t i) {
    (void)snprintf(key, DOCUMENT_KEY_SIZE, "%.100s[%zu]", list, i);
}

/* libconfig's own paths have a dot before the bracket: sensors.[2].device */
const config_setting_t *document_find(const struct config_document *document, const char *key) {
    char path[2 * DOCUMENT_KEY_SIZE];
    size_t length = 0;

    for (; *key != '\0' && length + 2 < sizeof(path); key++) {
        if (*key == '[')
            path[length++] = '.';
        path[length++] = *key;
    }
    path[length] = '\0';
    return *key == '\0' ? config_lookup(&document->parsed, path) : NULL;
}

/* Of the key, or else of the innermost group that should hold it; 0: none. */
static unsigned line_of(const struct config_document *document, const char *key) {
    char path[DOCUMENT_KEY_SIZE];

    (void)snprintf(path, sizeof(path), "%s", key);
    for (;;) {
        const config_setting_t *setting = document_find(document, path);
        char *dot = strrchr(path, '.');

        if (setting)
            return config_setting_source_line(setting);
        if (!dot)
            return 0;
        *dot = '\0';
    }
}

void document_error(struct config_document *document, const char *key, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    note(document, LOG_ERR, line_of(document, key), key, format, arguments);
    va_end(arguments);
}

void document_warning(struct config_document *document, const char *key, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    note(document, LOG_WARNING, line_of(document, key), key, format, arguments);
    va_end(arguments);
}

bool document_line_is_refused(const struct config_document *document, unsigned line) {
    for (size_t i = 0; i < document->refused_count; i++)
        if (document->refused_lines[i] == line)
            return true;
    return false;
}

/* Relative paths start beside the file; those of the system's own file, in /etc/sensorgw. */
static const char *folder_of(struct config_document *document, const char *path) {
    char here[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (strcmp(path, DEFAULT_CONFIG_PATH) == 0)
        return "/etc/sensorgw";
    if (path[0] == '/')
        return document_text(document, "%.*s", (int)(slash - path), path);
    if (!getcwd(here, sizeof(here)))
        return "";
    if (!slash)
        return document_text(document, "%s", here);
    return document_text(document, "%s/%.*s", here, (int)(slash - path), path);
}

/*
 * Reads all of it, with a newline at the end: libconfig 1.5 takes a comment without one for an
 * error.
 *
 * Returns the size; -EFBIG when it is too large for a configuration.
 */
static ssize_t read_file(const char *path, char *text, size_t size) {
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t length = 0;

    if (fd < 0)
        return -errno;
    while (length < size - 2) {
        ssize_t n = read(fd, text + length, size - 2 - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            text[length++] = '\n';
            text[length] = '\0';
            return (ssize_t)length;
        }
        length += (size_t)n;
    }
    return -EFBIG;
}

static int refuse_file(struct config_document *document, int error) {
    const char *path = document->config.path;
    char message[PATH_MAX + 128];

    if (error == -ENOENT)
        (void)snprintf(message, sizeof(message),
                       "%s: there is no such file; sensorgw.conf(5) shows the few lines it needs",
                       path);
    else if (error == -EFBIG)
        (void)snprintf(message, sizeof(message), "%s: is too large for a configuration", path);
    else
        (void)snprintf(message, sizeof(message), "%s: cannot be read: %s", path, strerror(-error));
    return log_emit(LOG_ERR, error, message, LOG_FIELDS({ "PATH", path }));
}

/* libconfig has one text for each kind of error, and they are its own terms. */
static const char *explain(const char *error) {
    if (strcmp(error, "duplicate setting name") == 0)
        return "this key is set a second time: delete one of the two";
    if (strcmp(error, "mismatched element type in array") == 0)
        return "the elements of an array [ ] must be of one type; a list ( ) takes any";
    return "this, or the line before it, is not understood: texts stand in quotes, a key is "
           "followed by =, and between elements of a list there is a comma";
}

static int parse(struct config_document *document, const char *text) {
    if (config_read_string(&document->parsed, text) == CONFIG_TRUE)
        return 0;
    document_error_at(document, (unsigned)config_error_line(&document->parsed), NULL, "%s",
                      explain(config_error_text(&document->parsed)));
    return -EINVAL;
}

/* As sha256sum shows it: which file is in use can be compared with which file is there. */
static void hash(const char *text, size_t size, char hex[static 65]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;

    if (EVP_Digest(text, size, digest, &length, EVP_sha256(), NULL) != 1)
        length = 0;
    for (unsigned int i = 0; i < length; i++)
        (void)snprintf(hex + (size_t)2 * i, 3, "%02x", digest[i]);
}

static int read_and_parse(struct config_document *document) {
    CLEANUP(free_stringp) char *text = malloc(DOCUMENT_SIZE_MAX);
    ssize_t length;
    int r;

    if (!text)
        return -ENOMEM;
    length = read_file(document->config.path, text, DOCUMENT_SIZE_MAX);
    if (length < 0)
        return refuse_file(document, (int)length);
    if (strlen(text) != (size_t)length) {
        document_error_at(document, 0, NULL, "is not a text: it holds a zero byte");
        return -EINVAL;
    }
    hash(text, (size_t)length - 1, document->config.hash); /* the last newline is ours */
    r = scan_source(document, text);
    if (r < 0)
        return r;
    return parse(document, text);
}

int document_new(const char *path, struct config_document **ret) {
    CLEANUP(document_freep) struct config_document *document = calloc(1, sizeof(*document));
    int r;

    if (!document)
        return -ENOMEM;
    config_init(&document->parsed);
    document->config.document = document;
    document->config.path = document_text(document, "%s", path);
    document->folder = folder_of(document, path);
    r = read_and_parse(document);
    if (r < 0) {
        (void)document_conclude(document);
        return r;
    }
    *ret = document;
    document = NULL;
    return 0;
}

int document_conclude(struct config_document *document) {
    const char *path = document->config.path;

    bool unfilled_are_told = tell_unfilled(path, document->first);

    for (const struct document_finding *finding = document->first; finding; finding = finding->next)
        if (!unfilled_are_told || !is_unfilled(finding))
            tell(path, finding);
    document->first = NULL;
    if (document->findings > DOCUMENT_FINDINGS)
        (void)log_error(0, "only the first errors in the configuration were told", { "PATH", path },
                        { "MORE", LOG_NUMBER(document->findings - DOCUMENT_FINDINGS) });
    if (document->out_of_memory)
        return log_error(-ENOMEM, "cannot read the configuration", { "PATH", path });
    return document->errors > 0 ? -EINVAL : 0;
}

struct config_document *document_free(struct config_document *document) {
    struct document_block *next;

    if (!document)
        return NULL;
    for (struct document_block *block = document->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    config_destroy(&document->parsed);
    free(document);
    return NULL;
}
