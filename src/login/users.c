/* Decides what a line of the file of users means, and what to say when it has no meaning. */
#include "login/users.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/prf.h"

struct word {
    struct slice text;
    uint32_t column;
};

#define WORDS_MAX 24

struct line {
    struct users *users;
    uint32_t number;
    struct word words[WORDS_MAX];
    size_t count;
};

void users_init(struct users *users, const uint8_t hash_key[16])
{
    *users = (struct users){0};
    table_init(&users->by_name, hash_key, USERS_MAX);
}

void users_fini(struct users *users)
{
    if (users->text != NULL) {
        wipe(users->text, users->text_length);
    }
    if (users->list != NULL) {
        wipe(users->list, users->capacity * sizeof(*users->list));
    }
    free(users->text);
    free(users->list);
    table_fini(&users->by_name);
    users->text = NULL;
    users->list = NULL;
    users->count = users->capacity = users->text_length = 0;
}

/* The names are longer than the keys of a table. */
static void name_key(struct slice name, uint8_t key[32])
{
    sha256(&name, 1, key);
}

const struct user *users_find(const struct users *users, struct slice name)
{
    uint8_t key[32];

    name_key(name, key);
    return table_find(&users->by_name, SLICE_OF(key));
}

/* ---- what is wrong ---- */

static void complain(const struct line *line, const struct word *word, const char *advice,
                     const char *format, ...) PRINTF_LIKE(4, 5);

static void complain(const struct line *line, const struct word *word, const char *advice,
                     const char *format, ...)
{
    struct users *users = line->users;
    va_list list;

    if (users->error_count++ >= USERS_ERRORS_MAX) {
        return;
    }
    struct users_error *e = &users->errors[users->error_count - 1];

    *e = (struct users_error){.line = line->number, .column = 1, .length = 1};
    if (word != NULL) {
        e->column = word->column;
        e->length = (uint32_t)word->text.length;
    }
    va_start(list, format);
    vsnprintf(e->message, sizeof(e->message), format, list);
    va_end(list);
    snprintf(e->advice, sizeof(e->advice), "%s", advice);
}

/* ---- words ---- */

static bool is_control_or_blank(uint8_t c)
{
    return c <= ' ' || c == 0x7f;
}

bool users_is_name(struct slice name)
{
    if (name.length == 0 || name.length >= LOGIN_USER_BYTES || name.data[0] == '#' ||
        name.data[0] == '-' || name.data[0] == '$') {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        if (is_control_or_blank(name.data[i]) || name.data[i] == ',' || name.data[i] == '"') {
            return false;
        }
    }
    return true;
}

bool users_is_group(struct slice name)
{
    if (name.length == 0 || name.length >= LOGIN_GROUP_BYTES || name.data[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        uint8_t c = name.data[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
        if (!fits) {
            return false;
        }
    }
    return true;
}

static bool is_word(const struct word *word, const char *text)
{
    return slice_equal_text(word->text, text);
}

static struct slice next_group(struct slice *rest)
{
    const uint8_t *comma = rest->length == 0 ? NULL : memchr(rest->data, ',', rest->length);
    size_t length = comma == NULL ? rest->length : (size_t)(comma - rest->data);
    struct slice group = {rest->data, length};

    rest->data += length + (comma != NULL);
    rest->length -= length + (comma != NULL);
    return group;
}

static bool take_groups(struct line *line, const struct word *word, struct user *user)
{
    struct slice rest = word->text;
    size_t count = 0;

    if (is_word(word, "-")) {
        return true;
    }
    user->groups = word->text;
    if (word->text.data[word->text.length - 1] == ',') {
        complain(line, word, "such as: staff,admins", "behind a comma stands a group");
        return false;
    }
    while (rest.length > 0) {
        if (!users_is_group(next_group(&rest))) {
            complain(line, word, "letters, digits, '.', '_' and '-'; none: write -",
                     "this is no list of groups");
            return false;
        }
        if (++count > LOGIN_GROUPS_MAX) {
            complain(line, word, "the first one decides, so few are needed",
                     "a user has %d groups at most", LOGIN_GROUPS_MAX);
            return false;
        }
    }
    return true;
}

static bool take_verifier(struct line *line, const struct word *word, struct user *user)
{
    if (is_word(word, "-")) {
        return true;
    }
    user->has_verifier = true;
    if (!password_read(word->text, &user->verifier)) {
        complain(line, word, "sekisho users hash makes one; none, as with RADIUS: write -",
                 "this is no verifier of a password: $scram$sha-256$ROUNDS$SALT$KEY");
        return false;
    }
    return true;
}

static bool take_number(struct line *line, const struct word *word, unsigned least, unsigned most,
                        unsigned *out)
{
    unsigned value = 0;

    for (size_t i = 0; i < word->text.length; i++) {
        uint8_t c = word->text.data[i];

        if (c < '0' || c > '9' || i == 6) {
            value = most + 1;
            break;
        }
        value = value * 10 + (unsigned)(c - '0');
    }
    if (word->text.length == 0 || value < least || value > most) {
        complain(line, word, "as the app or the token has it", "here stands a number from %u to %u",
                 least, most);
        return false;
    }
    *out = value;
    return true;
}

static bool take_otp(struct line *line, const struct word *word, enum otp_kind kind,
                     struct user *user)
{
    struct otp *otp = &user->otp;
    size_t length = 0;

    otp->kind = (uint8_t)kind;
    if (!otp_base32_parse(word->text, otp->secret, sizeof(otp->secret), &length) ||
        length < OTP_SECRET_BYTES_LEAST) {
        complain(line, word, "sekisho users otp NAME makes one",
                 "the secret of one-time passwords is base32 (RFC 4648), of %d octets or more",
                 OTP_SECRET_BYTES_LEAST);
        return false;
    }
    otp->secret_length = (uint8_t)length;
    return true;
}

static bool take_hash(struct line *line, const struct word *word, struct user *user)
{
    for (int i = OTP_SHA1; i <= OTP_SHA512; i++) {
        if (is_word(word, otp_hash_name((enum otp_hash)i))) {
            user->otp.hash = (uint8_t)i;
            return true;
        }
    }
    complain(line, word, "sha1, sha256 or sha512", "this is no hash of one-time passwords");
    return false;
}

static bool take_address(struct line *line, const struct word *word, struct user *user)
{
    if (!address_parse(word->text, &user->address) || address_is_any(&user->address) ||
        address_is_multicast(&user->address)) {
        complain(line, word, "such as: address 10.9.0.7", "this is not the address of one client");
        return false;
    }
    return true;
}

enum option { TOTP, HOTP, DIGITS, PERIOD, HASH, ADDRESS, DISABLED, OPTIONS };

static const char *const option_names[OPTIONS] = {
    "totp", "hotp", "digits", "period", "hash", "address", "disabled",
};

static bool take_value(struct line *line, enum option option, const struct word *word,
                       struct user *user)
{
    unsigned number = 0;

    switch (option) {
    case TOTP:
        return take_otp(line, word, OTP_TOTP, user);
    case HOTP:
        return take_otp(line, word, OTP_HOTP, user);
    case DIGITS:
        if (!take_number(line, word, 6, OTP_DIGITS_MAX, &number)) {
            return false;
        }
        user->otp.digits = (uint8_t)number;
        return true;
    case PERIOD:
        if (!take_number(line, word, 10, 300, &number)) {
            return false;
        }
        user->otp.period_s = (uint16_t)number;
        return true;
    case HASH:
        return take_hash(line, word, user);
    case ADDRESS:
        return take_address(line, word, user);
    case DISABLED:
    case OPTIONS:
        break;
    }
    return false;
}

static enum option find_option(const struct word *word)
{
    enum option option = TOTP;

    while (option < OPTIONS && !is_word(word, option_names[option])) {
        option++;
    }
    return option;
}

static bool take_options(struct line *line, struct user *user)
{
    bool said[OPTIONS] = {false};

    for (size_t i = 3; i < line->count; i++) {
        const struct word *word = &line->words[i];
        enum option option = find_option(word);

        if (option == OPTIONS) {
            complain(line, word, "totp, hotp, digits, period, hash, address and disabled",
                     "nothing of a user is called so");
            return false;
        }
        if (said[option] || (option == HOTP && said[TOTP]) || (option == TOTP && said[HOTP])) {
            complain(line, word, "each word stands once, and one of totp and hotp",
                     "this is said already");
            return false;
        }
        said[option] = true;
        if (option == DISABLED) {
            user->disabled = true;
            continue;
        }
        if (i + 1 == line->count) {
            complain(line, word, "such as: totp BASE32 digits 6 address 10.9.0.7",
                     "'%s' has a word behind it", option_names[option]);
            return false;
        }
        if (!take_value(line, option, &line->words[++i], user)) {
            return false;
        }
    }
    if ((said[DIGITS] || said[HASH] || said[PERIOD]) && user->otp.kind == OTP_NONE) {
        complain(line, &line->words[0], "such as: totp BASE32 digits 8",
                 "digits, period and hash belong to totp or hotp");
        return false;
    }
    return true;
}

/* ---- lines ---- */

static bool remember(struct users *users, const struct user *user)
{
    struct user *kept = &users->list[users->count];
    uint8_t key[32];

    *kept = *user;
    name_key(kept->name, key);
    users->count++;
    return table_add(&users->by_name, SLICE_OF(key), kept);
}

static bool cut_words(struct line *line, struct slice text)
{
    size_t at = 0;

    line->count = 0;
    while (at < text.length) {
        size_t begin = at;

        if (text.data[at] == ' ' || text.data[at] == '\t') {
            at++;
            continue;
        }
        if (text.data[at] == '#') {
            return true;
        }
        while (at < text.length && text.data[at] != ' ' && text.data[at] != '\t') {
            at++;
        }
        struct word word = {{text.data + begin, at - begin}, (uint32_t)begin + 1};

        if (line->count == WORDS_MAX) {
            complain(line, &word, "one user stands on one line", "this line has too many words");
            return false;
        }
        line->words[line->count++] = word;
    }
    return true;
}

/* False when there is no memory. */
static bool take_line(struct line *line, size_t at, size_t length)
{
    struct user user = {.otp = {.digits = 6, .hash = OTP_SHA1, .period_s = 30},
                        .line_at = at,
                        .line_length = length};

    if (line->count == 0) {
        return true;
    }
    if (!users_is_name(line->words[0].text)) {
        complain(
            line, &line->words[0],
            "1 to 127 octets without blanks, commas and quotation marks, not beginning with #, "
            "- or $",
            "this is no name of a user");
        return true;
    }
    user.name = line->words[0].text;
    if (line->count < 3) {
        complain(line, &line->words[line->count - 1],
                 "such as: alice staff $scram$sha-256$...; what there is not is written -",
                 "a user has a name, groups and a verifier");
        return true;
    }
    const struct user *other = users_find(line->users, user.name);

    if (other != NULL) {
        complain(line, &line->words[0], "one of the two lines is too many",
                 "this user is there already");
        return true;
    }
    if (!take_groups(line, &line->words[1], &user) ||
        !take_verifier(line, &line->words[2], &user) || !take_options(line, &user)) {
        return true;
    }
    if (line->users->count == line->users->capacity) {
        complain(line, &line->words[0], "keep them in a RADIUS server",
                 "there can be %d users in a file", USERS_MAX);
        return true;
    }
    bool kept = remember(line->users, &user);

    wipe(&user, sizeof(user));
    return kept;
}

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool read_line(struct line *line, size_t at, size_t length)
{
    struct slice text = {line->users->text + at, length};

    if (text.length > 0 && text.data[text.length - 1] == '\n') {
        text.length--;
    }
    if (text.length > 0 && text.data[text.length - 1] == '\r') {
        text.length--;
    }
    if (text.length > USERS_LINE_BYTES_MAX) {
        complain(line, NULL, "one user stands on one line", "this line is longer than %d octets",
                 USERS_LINE_BYTES_MAX);
        return true;
    }
    if (has_control(text)) {
        complain(line, NULL, "the file is text, a line for each user",
                 "there are octets in this line that are no text");
        return true;
    }
    return !cut_words(line, text) || take_line(line, at, length);
}

/* Room for as many as there are lines: it never moves, as the table points there. */
static bool make_room(struct users *users, struct slice text)
{
    users->capacity = 1;
    for (size_t i = 0; i < text.length && users->capacity < USERS_MAX; i++) {
        users->capacity += text.data[i] == '\n';
    }
    users->text = malloc(text.length + 1);
    users->list = calloc(users->capacity, sizeof(*users->list));
    return users->text != NULL && users->list != NULL;
}

bool users_read(struct users *users, struct slice text)
{
    struct line line = {.users = users};

    if (text.length > USERS_TEXT_BYTES_MAX) {
        complain(&line, NULL, "", "a file of users has %zu octets at most", USERS_TEXT_BYTES_MAX);
        return false;
    }
    if (!make_room(users, text)) {
        return false;
    }
    if (text.length > 0) {
        memcpy(users->text, text.data, text.length);
    }
    users->text_length = text.length;
    for (size_t at = 0; at < text.length;) {
        const uint8_t *end = memchr(users->text + at, '\n', text.length - at);
        size_t length = end == NULL ? text.length - at : (size_t)(end - users->text) + 1 - at;

        line.number++;
        if (!read_line(&line, at, length)) {
            return false;
        }
        at += length;
    }
    return users->error_count == 0;
}

/* ---- as a person reads it ---- */

static struct slice find_line(const struct users *users, uint32_t number)
{
    size_t at = 0;

    for (uint32_t line = 1; at < users->text_length; line++) {
        const uint8_t *end = memchr(users->text + at, '\n', users->text_length - at);
        size_t length = end == NULL ? users->text_length - at : (size_t)(end - users->text) - at;

        if (line == number) {
            return (struct slice){users->text + at, length};
        }
        at += length + 1;
    }
    return (struct slice){NULL, 0};
}

/* A verifier, the word behind totp and hotp, and whatever is as long as a secret. */
static bool is_secret(struct slice word, bool behind_otp)
{
    return behind_otp || memchr(word.data, '$', word.length) != NULL || word.length > 24;
}

#define EXCERPT_BYTES 160

/* The line word by word; where the word that is meant begins, and how long it is shown. */
static void add_excerpt(const struct users *users, const struct users_error *e, struct text *out)
{
    struct slice line = find_line(users, e->line);
    size_t begin = out->length;
    size_t caret = 0;
    size_t marks = 1;
    bool behind_otp = false;

    for (size_t at = 0; at < line.length && out->length - begin < EXCERPT_BYTES;) {
        size_t from = at;

        while (at < line.length && line.data[at] > ' ') {
            at++;
        }
        if (at == from) {
            text_add(out, line.data[at++] == '\r' ? "" : " ");
            continue;
        }
        struct slice word = {line.data + from, at - from};
        bool secret = is_secret(word, behind_otp);

        if (e->column == from + 1) {
            caret = out->length - begin;
            marks = secret ? 3 : e->length;
        }
        if (secret) {
            text_add(out, "***");
        } else {
            text_add_escaped(out, word);
        }
        behind_otp = slice_equal_text(word, "totp") || slice_equal_text(word, "hotp");
    }
    text_add(out, "\n      | ");
    for (size_t i = 0; i < caret; i++) {
        text_add(out, " ");
    }
    for (size_t i = 0; i < marks; i++) {
        text_add(out, "^");
    }
}

void users_add_errors(const struct users *users, const char *path, struct text *out)
{
    size_t told = users->error_count < USERS_ERRORS_MAX ? users->error_count : USERS_ERRORS_MAX;

    for (size_t i = 0; i < told; i++) {
        const struct users_error *e = &users->errors[i];

        text_addf(out, "%s:%u:%u: error: %s\n%5u | ", path, (unsigned)e->line, (unsigned)e->column,
                  e->message, (unsigned)e->line);
        add_excerpt(users, e, out);
        text_addf(out, "%s%s\n", e->advice[0] == '\0' ? "" : "  ", e->advice);
    }
    if (users->error_count > told) {
        text_addf(out, "and %zu more.\n", users->error_count - told);
    }
}

/* ---- writing ---- */

void users_add_line(struct text *out, const struct user *user)
{
    text_addf(out, "%.*s ", (int)user->name.length, (const char *)user->name.data);
    if (user->groups.length > 0) {
        text_addf(out, "%.*s ", (int)user->groups.length, (const char *)user->groups.data);
    } else {
        text_add(out, "- ");
    }
    if (user->has_verifier) {
        password_write(&user->verifier, out);
    } else {
        text_add(out, "-");
    }
    if (user->otp.kind != OTP_NONE) {
        text_add(out, user->otp.kind == OTP_TOTP ? " totp " : " hotp ");
        otp_base32_add(out, (struct slice){user->otp.secret, user->otp.secret_length});
        if (user->otp.digits != 6) {
            text_addf(out, " digits %u", (unsigned)user->otp.digits);
        }
        if (user->otp.period_s != 30) {
            text_addf(out, " period %u", (unsigned)user->otp.period_s);
        }
        if (user->otp.hash != OTP_SHA1) {
            text_addf(out, " hash %s", otp_hash_name((enum otp_hash)user->otp.hash));
        }
    }
    if (user->address.family != FAMILY_NONE) {
        char address[ADDRESS_TEXT_BYTES];

        text_addf(out, " address %s", address_format(&user->address, address));
    }
    text_add(out, user->disabled ? " disabled\n" : "\n");
}

uint8_t *users_edit(const struct users *users, const struct user *user, struct slice line,
                    size_t *length)
{
    size_t before = user != NULL ? user->line_at : users->text_length;
    size_t after_at = user != NULL ? user->line_at + user->line_length : users->text_length;
    size_t after = users->text_length - after_at;
    uint8_t *text = malloc(before + line.length + after + 2);
    size_t at = before;

    if (text == NULL) {
        return NULL;
    }
    if (before > 0) {
        memcpy(text, users->text, before);
        if (text[before - 1] != '\n') {
            text[at++] = '\n';
        }
    }
    if (line.length > 0) {
        memcpy(text + at, line.data, line.length);
    }
    if (after > 0) {
        memcpy(text + at + line.length, users->text + after_at, after);
    }
    *length = at + line.length + after;
    return text;
}

void users_split_groups(struct slice groups, struct login_answer *answer)
{
    while (groups.length > 0 && answer->group_count < LOGIN_GROUPS_MAX) {
        struct slice group = next_group(&groups);

        if (users_is_group(group) &&
            text_copy(answer->groups[answer->group_count], LOGIN_GROUP_BYTES, group)) {
            answer->group_count++;
        }
    }
}
