/* Decides how it is kept which one-time passwords were used. */
#include "login/used.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/prf.h"

struct used_one {
    struct used_one *next_one;
    uint8_t key[USED_KEY_BYTES];
    uint64_t next;
};

void used_init(struct used *used, const uint8_t hash_key[16])
{
    *used = (struct used){0};
    table_init(&used->table, hash_key, 0);
}

void used_fini(struct used *used)
{
    while (used->first != NULL) {
        struct used_one *one = used->first;

        used->first = one->next_one;
        free(one);
    }
    table_fini(&used->table);
}

static void key_of(const struct user *user, uint8_t key[USED_KEY_BYTES])
{
    const uint8_t zero = 0;
    struct slice parts[] = {
        {&user->otp.kind, 1},
        user->name,
        {&zero, 1},
        {user->otp.secret, user->otp.secret_length},
    };
    uint8_t hash[32];

    sha256(parts, ARRAY_LENGTH(parts), hash);
    memcpy(key, hash, USED_KEY_BYTES);
}

static bool put(struct used *used, const uint8_t key[USED_KEY_BYTES], uint64_t next)
{
    struct used_one *one = table_find(&used->table, (struct slice){key, USED_KEY_BYTES});

    if (one != NULL) {
        /* Never back, in whatever order the lines came. */
        one->next = next > one->next ? next : one->next;
        return true;
    }
    one = calloc(1, sizeof(*one));
    if (one == NULL) {
        return false;
    }
    memcpy(one->key, key, USED_KEY_BYTES);
    one->next = next;
    if (!table_add(&used->table, (struct slice){one->key, USED_KEY_BYTES}, one)) {
        free(one);
        return false;
    }
    one->next_one = used->first;
    used->first = one;
    return true;
}

static bool read_counter(struct slice text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.length == 0 || text.length > 18) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}

static bool read_line(struct used *used, struct slice line)
{
    uint8_t key[USED_KEY_BYTES];
    size_t hex = 2 * sizeof(key);
    size_t length;
    uint64_t next;

    if (line.length <= hex || line.data[hex] != ' ' ||
        !hex_parse((struct slice){line.data, hex}, key, sizeof(key), &length) ||
        !read_counter((struct slice){line.data + hex + 1, line.length - hex - 1}, &next)) {
        return true;
    }
    return put(used, key, next);
}

bool used_read(struct used *used, struct slice text)
{
    for (size_t at = 0; at < text.length;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.length - at);

        if (end == NULL) {
            return true;
        }
        size_t length = (size_t)(end - text.data) - at;

        if (!read_line(used, (struct slice){text.data + at, length})) {
            return false;
        }
        used->lines++;
        at += length + 1;
    }
    return true;
}

uint64_t used_next(const struct used *used, const struct user *user)
{
    uint8_t key[USED_KEY_BYTES];

    key_of(user, key);
    const struct used_one *one = table_find(&used->table, SLICE_OF(key));

    return one == NULL ? 0 : one->next;
}

static void add_line(struct text *out, const uint8_t key[USED_KEY_BYTES], uint64_t next)
{
    text_add_hex(out, (struct slice){key, USED_KEY_BYTES});
    text_addf(out, " %llu\n", (unsigned long long)next);
}

bool used_set(struct used *used, const struct user *user, uint64_t next, struct text *line)
{
    uint8_t key[USED_KEY_BYTES];

    key_of(user, key);
    if (!put(used, key, next)) {
        return false;
    }
    used->lines++;
    add_line(line, key, next);
    return true;
}

bool used_is_long(const struct used *used)
{
    return used->lines > 1000 + 4 * used->table.count;
}

char *used_text(struct used *used, size_t *length)
{
    size_t capacity = (used->table.count + 1) * USED_LINE_BYTES;
    char *bytes = malloc(capacity);

    if (bytes == NULL) {
        return NULL;
    }
    struct text out = text_over(bytes, capacity);

    for (const struct used_one *one = used->first; one != NULL; one = one->next_one) {
        add_line(&out, one->key, one->next);
    }
    used->lines = used->table.count;
    *length = out.length;
    return bytes;
}
