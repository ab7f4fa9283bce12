/* Reading test vectors. */
#include "tests/support/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

json_t *vectors_load(const char *name)
{
    char path[512];
    json_error_t error;

    snprintf(path, sizeof(path), "%s/%s", TEST_VECTORS, name);
    json_t *root = json_load_file(path, 0, &error);

    if (root == NULL) {
        fail_msg("%s: %s", path, error.text);
    }
    return root;
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10) & 15;
}

struct slice hex_bytes(const char *text)
{
    static uint8_t buffers[8][VECTOR_BYTES_MAX];
    static size_t next;
    uint8_t *bytes = buffers[next++ % 8];
    size_t length = strlen(text) / 2;

    CHECK(strlen(text) % 2 == 0);
    CHECK(length <= VECTOR_BYTES_MAX);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    }
    return (struct slice){bytes, length};
}

const char *vector_text(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    return json_is_string(value) ? json_string_value(value) : "";
}

struct slice vector_hex(const json_t *object, const char *member)
{
    return hex_bytes(vector_text(object, member));
}

static void stanza_clear(struct stanza *stanza)
{
    for (size_t i = 0; i < stanza->count; i++) {
        free(stanza->names[i]);
        free(stanza->values[i]);
    }
    stanza->count = 0;
}

static char *copy(const char *from, size_t length)
{
    char *text = calloc(1, length + 1);

    CHECK(text != NULL);
    memcpy(text, from, length);
    return text;
}

static void stanza_line(struct stanza *stanza, const char *line)
{
    const char *equals = strchr(line, '=');

    if (line[0] == '#' || equals == NULL) {
        return;
    }
    size_t name = (size_t)(equals - line);
    const char *value = equals + 1;

    while (name > 0 && line[name - 1] == ' ') {
        name--;
    }
    while (*value == ' ') {
        value++;
    }
    CHECK(stanza->count < STANZA_FIELDS_MAX);
    stanza->names[stanza->count] = copy(line, name);
    stanza->values[stanza->count] = copy(value, strcspn(value, "\r\n"));
    stanza->count++;
}

size_t stanzas_each(const char *name, void (*visit)(const struct stanza *stanza, void *context),
                    void *context)
{
    static char line[1 << 20];
    char path[512];
    struct stanza stanza = {0};
    size_t count = 0;

    snprintf(path, sizeof(path), "%s/%s", TEST_VECTORS, name);
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        fail_msg("%s is not there", path);
    }
    bool more = true;

    while (more) {
        more = fgets(line, sizeof(line), file) != NULL;
        if (more && line[0] != '\n') {
            stanza_line(&stanza, line);
        } else if (stanza.count > 0) {
            visit(&stanza, context);
            stanza_clear(&stanza);
            count++;
        }
    }
    fclose(file);
    return count;
}

const char *stanza_value(const struct stanza *stanza, const char *name)
{
    for (size_t i = 0; i < stanza->count; i++) {
        if (strcmp(stanza->names[i], name) == 0) {
            return stanza->values[i];
        }
    }
    return NULL;
}
