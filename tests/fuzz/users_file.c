/* Files of users of any bytes: read without harm; what is told has no control characters and no
 * secret; what is good is written line by line and reads the same. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "login/users.h"

static const uint8_t hash_key[16] = {5};

static void check_same(const struct user *a, const struct user *b)
{
    MUST(slice_equal(a->name, b->name) && slice_equal(a->groups, b->groups));
    MUST(a->has_verifier == b->has_verifier && a->disabled == b->disabled);
    MUST(memcmp(&a->verifier, &b->verifier, sizeof(a->verifier)) == 0);
    MUST(a->otp.kind == b->otp.kind && a->otp.secret_length == b->otp.secret_length);
    MUST(memcmp(a->otp.secret, b->otp.secret, sizeof(a->otp.secret)) == 0);
    MUST(address_equal(&a->address, &b->address));
    if (a->otp.kind != OTP_NONE) {
        MUST(a->otp.digits == b->otp.digits && a->otp.hash == b->otp.hash &&
             a->otp.period_s == b->otp.period_s);
    }
}

static void check_line(const struct user *user)
{
    char words[USERS_LINE_BYTES_MAX + 256];
    struct text line = text_over(words, sizeof(words));
    struct users again;

    users_add_line(&line, user);
    MUST(!line.cut);
    users_init(&again, hash_key);
    MUST(users_read(&again, slice_of_text(words)) && again.count == 1);
    check_same(user, &again.list[0]);
    users_fini(&again);
}

static void check_edit(const struct users *users, const struct user *user)
{
    struct users again;
    size_t length;
    uint8_t *text = users_edit(users, user, (struct slice){NULL, 0}, &length);

    MUST(text != NULL);
    users_init(&again, hash_key);
    MUST(users_read(&again, (struct slice){text, length}));
    MUST(again.count == users->count - 1 && users_find(&again, user->name) == NULL);
    users_fini(&again);
    free(text);
}

FUZZ(users_file, 4000)
{
    static char words[65536];
    struct text told = text_over(words, sizeof(words));
    struct users users;

    if (size > 8192) {
        return 0;
    }
    users_init(&users, hash_key);
    bool good = users_read(&users, (struct slice){data, size});

    MUST(good == (users.error_count == 0));
    users_add_errors(&users, "fuzz", &told);
    MUST(!told.cut && good == (told.length == 0));
    for (size_t i = 0; i < told.length; i++) {
        MUST(words[i] == '\n' || (words[i] >= ' ' && words[i] <= '~'));
    }
    MUST(strstr(words, "$scram$sha-256$4096") == NULL);
    for (size_t i = 0; good && i < users.count; i++) {
        MUST(users_find(&users, users.list[i].name) == &users.list[i]);
        check_line(&users.list[i]);
        check_edit(&users, &users.list[i]);
    }
    users_fini(&users);
    return 0;
}
