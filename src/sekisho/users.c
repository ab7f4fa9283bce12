/*
 * `users`: who may log in. Works on the file of users, with or without a daemon, and tells a daemon
 * that it has changed. A password comes from the terminal or from the standard input, never from
 * the command line, where others can read it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "host/entropy.h"
#include "loader/loader.h"
#include "loader/users_store.h"
#include "sekisho/command.h"

#define PATH_BYTES 4096
#define ERRORS_BYTES 16384

struct store {
    const struct command *command;
    const char *state;
    char path[PATH_BYTES];
    int lock; /* -1: nobody is to write */
    struct users kept; /* what this command keeps */
    struct users written; /* `users from FILE` of the configuration */
    char written_path[PATH_BYTES]; /* empty: there is none */
};

/* ---- the files ---- */

static int tell_errors(const struct command *command, const struct users *users, const char *path,
                       const char *why)
{
    static char words[ERRORS_BYTES];
    struct text out = text_over(words, sizeof(words));

    users_add_errors(users, path, &out);
    if (!command->json && users->error_count > 0) {
        fputs(words, stderr);
    }
    return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
}

/* Only to know its names: a configuration that cannot be read names none. */
static void find_written(struct store *store)
{
    const char *path =
        store->command->config_path != NULL ? store->command->config_path : LOADER_DEFAULT_CONFIG;
    char secrets[LOADER_PATH_BYTES];

    if (access(path, R_OK) != 0 || !loader_secrets_directory(path, secrets)) {
        return;
    }
    struct loader *loader = loader_new(secrets, false);
    struct config_result *result = loader == NULL ? NULL : config_read(path, loader_config(loader));

    if (result != NULL && result->config != NULL && result->config->users_file != NULL) {
        snprintf(store->written_path, sizeof(store->written_path), "%s",
                 result->config->users_file);
    }
    if (result != NULL) {
        config_result_free(result);
    }
    loader_free(loader);
}

static void store_close(struct store *store)
{
    users_fini(&store->kept);
    users_fini(&store->written);
    if (store->lock >= 0) {
        users_store_unlock(store->lock);
    }
}

/* EXIT_OK, or how to end; then it is closed. */
static int store_open(struct store *store, const struct command *command, bool to_write)
{
    char why[USERS_STORE_WHY_BYTES] = "";
    int exit_code = EXIT_OK;

    *store =
        (struct store){.command = command,
                       .state = command->state != NULL ? command->state : USERS_STORE_DEFAULT_STATE,
                       .lock = -1};
    if (!users_store_path(store->state, "users", store->path, sizeof(store->path))) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "the name of the state directory is too long");
    }
    if (to_write) {
        store->lock = users_store_lock(store->state, why, sizeof(why));
        if (store->lock < 0) {
            return fail_with(command->json, EXIT_FAILED, "Nothing was changed.", "%s", why);
        }
    }
    find_written(store);
    if (!users_store_read_file(store->path, false, &store->kept, why, sizeof(why))) {
        exit_code = tell_errors(command, &store->kept, store->path, why);
    } else if (store->written_path[0] != '\0' &&
               !users_store_read_file(store->written_path, true, &store->written, why,
                                      sizeof(why))) {
        exit_code = tell_errors(command, &store->written, store->written_path, why);
    }
    if (exit_code != EXIT_OK) {
        store_close(store);
    }
    return exit_code;
}

/* One that runs takes the users anew; without one there is nobody to tell. */
static bool tell_daemon(const struct command *command)
{
    struct command order = {
        .socket_path = command->socket_path, .verb = "users", .words = {"reload"}, .word_count = 1};
    int exit_code = EXIT_OK;

    if (command->socket_path == NULL || access(command->socket_path, F_OK) != 0) {
        return false;
    }
    json_t *reply = daemon_ask(&order, -1, &exit_code);

    json_decref(reply);
    return reply != NULL && exit_code == EXIT_OK;
}

/* Puts a line into the place of a user's, or behind all. */
static int store_put(struct store *store, const struct user *old, struct slice line)
{
    char why[USERS_STORE_WHY_BYTES] = "";
    size_t length = 0;
    uint8_t *text = users_edit(&store->kept, old, line, &length);

    if (text == NULL) {
        return fail_with(store->command->json, EXIT_FAILED, "Nothing was changed.",
                         "there is no memory");
    }
    bool written = users_store_write(store->state, (struct slice){text, length}, why, sizeof(why));

    wipe(text, length);
    free(text);
    if (!written) {
        return fail_with(store->command->json, EXIT_FAILED, "Nothing was changed.", "%s", why);
    }
    return EXIT_OK;
}

static int store_put_user(struct store *store, const struct user *old, const struct user *user)
{
    char line[USERS_LINE_BYTES_MAX];
    struct text out = text_over(line, sizeof(line));

    users_add_line(&out, user);
    int exit_code = out.cut ? fail_with(store->command->json, EXIT_FAILED, "Nothing was changed.",
                                        "this is too much for one user")
                            : store_put(store, old, (struct slice){(uint8_t *)line, out.length});

    wipe(line, sizeof(line));
    return exit_code;
}

static json_t *log_out(const struct command *command, const char *name, int *exit_code);

/* Takes it over. JSON is UTF-8, and a name need not be (then it is NULL): who reads the answer must
 * not take nothing for success. */
static int print_packed(json_t *answer)
{
    if (answer == NULL) {
        return fail_with(true, EXIT_FAILED,
                         "What was to be changed is changed; without --json it is told.",
                         "a name that is not UTF-8 cannot be told in JSON");
    }
    print_json(answer);
    json_decref(answer);
    return EXIT_OK;
}

static int done(const struct command *command, const char *name, const char *words)
{
    bool told = tell_daemon(command);

    if (command->json) {
        return print_packed(json_pack("{s:i, s:s, s:s, s:b}", "version", 1, "user", name, "text",
                                      words, "told_daemon", (int)told));
    }
    printf("%s %s.\n", name, words);
    return EXIT_OK;
}

/* Who may not log in any more does not stay in either. */
static int done_with(const struct command *command, const char *name, const char *words)
{
    struct command quiet = {.socket_path = command->socket_path};
    int exit_code = done(command, name, words);
    int told = EXIT_OK;

    if (command->socket_path != NULL && access(command->socket_path, F_OK) == 0) {
        json_decref(log_out(&quiet, name, &told));
    }
    return exit_code;
}

/* NULL: that was told. */
static const struct user *find_user(struct store *store, const char *name, int *exit_code)
{
    const struct user *user = users_find(&store->kept, slice_of_text(name));

    if (user == NULL && users_find(&store->written, slice_of_text(name)) != NULL) {
        *exit_code = fail_with(store->command->json, EXIT_FAILED, "Change the line there.",
                               "%s stands in %s, which this command leaves alone", name,
                               store->written_path);
    } else if (user == NULL) {
        *exit_code = fail_with(store->command->json, EXIT_FAILED,
                               "Who there is: sekisho users list", "there is no user %s", name);
    }
    return user;
}

/* ---- passwords ---- */

static bool read_line_of(FILE *from, char *out, size_t bytes)
{
    size_t at = 0;
    int c = 0;

    while ((c = getc(from)) != EOF && c != '\n') {
        if (at + 1 == bytes) {
            return false;
        }
        out[at++] = (char)c;
    }
    if (at > 0 && out[at - 1] == '\r') {
        at--;
    }
    out[at] = '\0';
    return at > 0;
}

/* Without showing what is typed. */
static bool ask_terminal(const char *question, char *out, size_t bytes)
{
    struct termios shown;
    bool is_terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    struct termios hidden = shown;

    if (is_terminal) {
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
        fprintf(stderr, "%s", question);
    }
    bool read = read_line_of(stdin, out, bytes);

    if (is_terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fprintf(stderr, "\n");
    }
    return read;
}

static int read_password(const struct command *command, char *out, size_t bytes)
{
    char again[LOGIN_PASSWORD_BYTES_MAX + 1];
    int exit_code = EXIT_OK;

    if (!ask_terminal("Password: ", out, bytes)) {
        return fail_with(command->json, EXIT_FAILED, "Nothing was changed.",
                         "a password is one line of 1 to %d octets", LOGIN_PASSWORD_BYTES_MAX);
    }
    if (isatty(STDIN_FILENO) == 1 &&
        (!ask_terminal("The same again: ", again, sizeof(again)) || strcmp(out, again) != 0)) {
        exit_code = fail_with(command->json, EXIT_FAILED, "Nothing was changed.",
                              "the two passwords differ");
    }
    wipe(again, sizeof(again));
    return exit_code;
}

static int make_verifier(const struct command *command, struct password_verifier *out)
{
    char password[LOGIN_PASSWORD_BYTES_MAX + 1];
    struct random_source random = entropy_source();
    int exit_code = read_password(command, password, sizeof(password));

    if (exit_code == EXIT_OK &&
        !password_make(slice_of_text(password), PASSWORD_ROUNDS, &random, out)) {
        exit_code = fail_with(command->json, EXIT_FAILED, NULL, "there is no memory");
    }
    if (exit_code == EXIT_OK && !command->json && strlen(password) < 10) {
        fprintf(stderr,
                "sekisho: warning: a password of %zu characters is soon guessed by whoever "
                "gets the file of users\n",
                strlen(password));
    }
    wipe(password, sizeof(password));
    return exit_code;
}

/* ---- what a user has ---- */

static int take_groups(const struct command *command, const char *text, struct user *user)
{
    struct slice rest = slice_of_text(text);
    size_t count = 0;

    user->groups = rest;
    while (rest.length > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.length);
        size_t length = comma == NULL ? rest.length : (size_t)(comma - rest.data);

        if (!users_is_group((struct slice){rest.data, length}) || ++count > LOGIN_GROUPS_MAX ||
            (comma != NULL && length + 1 == rest.length)) {
            return fail_with(command->json, EXIT_USAGE, "Nothing was changed.",
                             "groups are %d names at most with commas between, of letters, digits, "
                             "'.', '_' and '-': %s",
                             LOGIN_GROUPS_MAX, text);
        }
        rest.data += length + (comma != NULL);
        rest.length -= length + (comma != NULL);
    }
    return EXIT_OK;
}

static int take_address(const struct command *command, struct user *user)
{
    if (command->address == NULL) {
        return EXIT_OK;
    }
    if (strcmp(command->address, "off") == 0) {
        user->address = (struct address){0};
        return EXIT_OK;
    }
    if (!address_parse(slice_of_text(command->address), &user->address) ||
        address_is_any(&user->address) || address_is_multicast(&user->address)) {
        return fail_with(command->json, EXIT_USAGE, "Nothing was changed.",
                         "%s is not the address of one client", command->address);
    }
    return EXIT_OK;
}

/* ---- the orders ---- */

static int users_add(struct store *store, const char *name)
{
    const struct command *command = store->command;
    struct user user = {.name = slice_of_text(name), .otp = {.digits = 6, .period_s = 30}};

    if (!users_is_name(user.name)) {
        return fail_with(
            command->json, EXIT_USAGE, NULL,
            "a name has 1 to %d octets without blanks, commas and quotation marks, and "
            "does not begin with #, - or $: %s",
            LOGIN_USER_BYTES - 1, name);
    }
    if (users_find(&store->kept, user.name) != NULL ||
        users_find(&store->written, user.name) != NULL) {
        return fail_with(command->json, EXIT_FAILED, "Nothing was changed.",
                         "there is a user %s already", name);
    }
    int exit_code = take_groups(command, command->group == NULL ? "" : command->group, &user);

    if (exit_code == EXIT_OK) {
        exit_code = take_address(command, &user);
    }
    if (exit_code == EXIT_OK && !command->no_password) {
        user.has_verifier = true;
        exit_code = make_verifier(command, &user.verifier);
    }
    if (exit_code == EXIT_OK) {
        exit_code = store_put_user(store, NULL, &user);
    }
    wipe(&user.verifier, sizeof(user.verifier));
    return exit_code == EXIT_OK ? done(command, name, "may log in now") : exit_code;
}

static int users_remove(struct store *store, const char *name)
{
    int exit_code = EXIT_OK;
    const struct user *user = find_user(store, name, &exit_code);

    if (user == NULL) {
        return exit_code;
    }
    exit_code = store_put(store, user, (struct slice){NULL, 0});
    return exit_code == EXIT_OK ? done_with(store->command, name, "is no user any more")
                                : exit_code;
}

static int users_passwd(struct store *store, const char *name)
{
    int exit_code = EXIT_OK;
    const struct user *old = find_user(store, name, &exit_code);

    if (old == NULL) {
        return exit_code;
    }
    struct user user = *old;

    user.has_verifier = !store->command->no_password;
    if (user.has_verifier) {
        exit_code = make_verifier(store->command, &user.verifier);
    }
    if (exit_code == EXIT_OK) {
        exit_code = store_put_user(store, old, &user);
    }
    wipe(&user, sizeof(user));
    return exit_code != EXIT_OK ? exit_code
           : store->command->no_password
               ? done(store->command, name, "has no password here any more")
               : done(store->command, name, "has a new password");
}

static int users_set_disabled(struct store *store, const char *name, bool disabled)
{
    int exit_code = EXIT_OK;
    const struct user *old = find_user(store, name, &exit_code);

    if (old == NULL) {
        return exit_code;
    }
    struct user user = *old;

    user.disabled = disabled;
    exit_code = store_put_user(store, old, &user);
    wipe(&user, sizeof(user));
    return exit_code != EXIT_OK ? exit_code
           : disabled           ? done_with(store->command, name, "is disabled")
                                : done(store->command, name, "may log in again");
}

static int users_disable(struct store *store, const char *name)
{
    return users_set_disabled(store, name, true);
}

static int users_enable(struct store *store, const char *name)
{
    return users_set_disabled(store, name, false);
}

/* Groups and the address, as far as they are said. */
static int users_groups(struct store *store, const char *name)
{
    const struct command *command = store->command;
    char groups[LOGIN_GROUPS_MAX * LOGIN_GROUP_BYTES] = "";
    struct text list = text_over(groups, sizeof(groups));
    int exit_code = EXIT_OK;
    const struct user *old = find_user(store, name, &exit_code);

    if (old == NULL) {
        return exit_code;
    }
    struct user user = *old;

    for (size_t i = 2; i < command->word_count; i++) {
        text_addf(&list, "%s%s", i > 2 ? "," : "", command->words[i]);
    }
    /* Without groups, and with an address, the groups stay. */
    if (command->word_count > 2 || command->address == NULL) {
        exit_code = list.cut ? fail_with(command->json, EXIT_USAGE, NULL, "too many groups")
                             : take_groups(command, groups, &user);
    }
    if (exit_code == EXIT_OK) {
        exit_code = take_address(command, &user);
    }
    if (exit_code == EXIT_OK) {
        exit_code = store_put_user(store, old, &user);
    }
    wipe(&user, sizeof(user));
    return exit_code == EXIT_OK ? done(command, name, "was changed") : exit_code;
}

/* What an app is given: shown once, and never again. */
static int show_otp(struct store *store, const struct user *user)
{
    char secret[OTP_BASE32_BYTES];
    char uri[1024];
    char issuer[CONFIG_NAME_BYTES] = "sekisho";
    int exit_code = EXIT_OK;
    struct text secret_text = text_over(secret, sizeof(secret));
    struct text uri_text = text_over(uri, sizeof(uri));

    if (store->command->issuer != NULL) {
        snprintf(issuer, sizeof(issuer), "%s", store->command->issuer);
    } else if (gethostname(issuer, sizeof(issuer)) == 0) {
        issuer[sizeof(issuer) - 1] = '\0';
    }
    otp_base32_add(&secret_text, (struct slice){user->otp.secret, user->otp.secret_length});
    otp_add_uri(&uri_text, &user->otp, slice_of_text(issuer), user->name);
    if (store->command->json) {
        exit_code =
            print_packed(json_pack("{s:i, s:s%, s:s, s:s}", "version", 1, "user", user->name.data,
                                   user->name.length, "secret", secret, "uri", uri));
    } else {
        printf("%s\n%s\n", uri, secret);
        fprintf(stderr, "For an app of one-time passwords: the first line as a QR code, or the "
                        "second typed.\nIt is shown only now. It is asked for where a block says: "
                        "second-factor totp\n");
    }
    wipe(secret, sizeof(secret));
    wipe(uri, sizeof(uri));
    return exit_code;
}

static int users_otp(struct store *store, const char *name)
{
    const struct command *command = store->command;
    const char *kind = command->word_count > 2 ? command->words[2] : "totp";
    struct random_source random = entropy_source();
    int exit_code = EXIT_OK;
    const struct user *old = find_user(store, name, &exit_code);

    if (old == NULL) {
        return exit_code;
    }
    struct user user = *old;

    if (strcmp(kind, "off") == 0) {
        user.otp = (struct otp){.digits = 6, .period_s = 30};
    } else if (strcmp(kind, "totp") == 0 || strcmp(kind, "hotp") == 0) {
        user.otp = otp_new(kind[0] == 't' ? OTP_TOTP : OTP_HOTP, &random);
    } else {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "behind the name stands totp, hotp or off: %s", kind);
    }
    exit_code = store_put_user(store, old, &user);
    if (exit_code == EXIT_OK && user.otp.kind == OTP_NONE) {
        exit_code = done(command, name, "has no one-time passwords any more");
    } else if (exit_code == EXIT_OK) {
        (void)tell_daemon(command);
        exit_code = show_otp(store, &user);
    }
    wipe(&user, sizeof(user));
    return exit_code;
}

/* ---- what there is ---- */

static const char *otp_name(const struct user *user)
{
    return user->otp.kind == OTP_TOTP ? "totp" : user->otp.kind == OTP_HOTP ? "hotp" : "";
}

static json_t *user_json(const struct user *user, const char *file)
{
    struct login_answer answer = {0};
    char address[ADDRESS_TEXT_BYTES] = "";
    json_t *groups = json_array();

    users_split_groups(user->groups, &answer);
    for (size_t i = 0; i < answer.group_count; i++) {
        json_array_append_new(groups, json_string(answer.groups[i]));
    }
    if (user->address.family != FAMILY_NONE) {
        address_format(&user->address, address);
    }
    return json_pack("{s:s%, s:o, s:b, s:s, s:s, s:b, s:s}", "name", user->name.data,
                     user->name.length, "groups", groups, "password", (int)user->has_verifier,
                     "otp", otp_name(user), "address", address, "disabled", (int)user->disabled,
                     "file", file);
}

static void print_user(const struct user *user)
{
    char address[ADDRESS_TEXT_BYTES] = "-";
    char name[4 * LOGIN_USER_BYTES];
    struct text shown = text_over(name, sizeof(name));

    text_add_escaped(&shown, user->name);
    if (user->address.family != FAMILY_NONE) {
        address_format(&user->address, address);
    }
    printf("%-20s %-20.*s %-8s %-5s %-16s %s\n", name,
           user->groups.length == 0 ? 1 : (int)user->groups.length,
           user->groups.length == 0 ? "-" : (const char *)user->groups.data,
           user->has_verifier ? "here" : "-", otp_name(user)[0] == '\0' ? "-" : otp_name(user),
           address, user->disabled ? "disabled" : "");
}

static int users_list(struct store *store)
{
    const struct {
        const struct users *users;
        const char *path;
    } both[] = {{&store->written, store->written_path}, {&store->kept, store->path}};
    json_t *list = json_array();
    bool packed = true;

    if (!store->command->json) {
        printf("%-20s %-20s %-8s %-5s %-16s\n", "USER", "GROUPS", "PASSWORD", "CODE", "ADDRESS");
    }
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < both[k].users->count; i++) {
            if (store->command->json) {
                json_t *one = user_json(&both[k].users->list[i], both[k].path);

                packed &= one != NULL && json_array_append_new(list, one) == 0;
            } else {
                print_user(&both[k].users->list[i]);
            }
        }
    }
    int exit_code = EXIT_OK;

    if (store->command->json) {
        exit_code =
            print_packed(packed ? json_pack("{s:i, s:O}", "version", 1, "users", list) : NULL);
    }
    json_decref(list);
    return exit_code;
}

static int users_check(struct store *store)
{
    size_t count = store->kept.count + store->written.count;

    /* store_open() told what is wrong with one of them. */
    for (size_t i = 0; i < store->written.count; i++) {
        struct slice name = store->written.list[i].name;

        if (users_find(&store->kept, name) != NULL) {
            return fail_with(store->command->json, EXIT_FAILED,
                             "The one in the file that the configuration names counts.",
                             "%.*s stands in both %s and %s", (int)name.length,
                             (const char *)name.data, store->written_path, store->path);
        }
    }
    if (store->command->json) {
        json_t *answer = json_pack("{s:i, s:I}", "version", 1, "users", (json_int_t)count);

        print_json(answer);
        json_decref(answer);
    } else {
        printf("%zu user%s, nothing is wrong.\n", count, count == 1 ? "" : "s");
    }
    return EXIT_OK;
}

static int users_hash(const struct command *command)
{
    struct password_verifier verifier;
    char words[PASSWORD_TEXT_BYTES];
    struct text out = text_over(words, sizeof(words));
    int exit_code = make_verifier(command, &verifier);

    if (exit_code != EXIT_OK) {
        return exit_code;
    }
    password_write(&verifier, &out);
    if (command->json) {
        json_t *answer = json_pack("{s:i, s:s}", "version", 1, "verifier", words);

        print_json(answer);
        json_decref(answer);
    } else {
        printf("%s\n", words);
    }
    wipe(&verifier, sizeof(verifier));
    wipe(words, sizeof(words));
    return EXIT_OK;
}

/* ---- whether somebody would be let in ---- */

#define TRY_LOOK_US 100000
#define TRY_LOOKS 1200

/* The answer, once it is there; NULL: that was told. */
static json_t *wait_for_answer(const struct command *command, double number, int *exit_code)
{
    char digits[32];
    struct command order = {.socket_path = command->socket_path,
                            .verb = "users",
                            .words = {"tried"},
                            .word_count = 1,
                            .count = digits,
                            .json = command->json};

    snprintf(digits, sizeof(digits), "%.0f", number);
    for (unsigned i = 0; i < TRY_LOOKS; i++) {
        json_t *reply = daemon_ask(&order, -1, exit_code);

        if (reply == NULL || is_true(json_object_get(reply, "answer"), "ready")) {
            return reply;
        }
        json_decref(reply);
        usleep(TRY_LOOK_US);
    }
    *exit_code = fail_with(command->json, EXIT_FAILED, NULL, "no answer came");
    return NULL;
}

static json_t *ask_once(const struct command *command, const char *name, const char *question,
                        const char *state, int *exit_code)
{
    char password[LOGIN_PASSWORD_BYTES_MAX + 1] = "";
    struct command order = {.socket_path = command->socket_path,
                            .verb = "users",
                            .words = {"try", name},
                            .word_count = 2,
                            .service = command->service,
                            .password = password,
                            .login_state = state,
                            .json = command->json};

    if (!ask_terminal(question, password, sizeof(password))) {
        *exit_code =
            fail_with(command->json, EXIT_FAILED, NULL, "a password is one line of 1 to %d octets",
                      LOGIN_PASSWORD_BYTES_MAX);
        return NULL;
    }
    json_t *reply = daemon_ask(&order, -1, exit_code);

    wipe(password, sizeof(password));
    if (reply == NULL) {
        return NULL;
    }
    double number = number_of(json_object_get(reply, "answer"), "number");

    json_decref(reply);
    return wait_for_answer(command, number, exit_code);
}

static void print_try(const char *name, const json_t *answer)
{
    const json_t *groups = json_object_get(answer, "groups");
    size_t index;
    json_t *group;

    printf("%s: %s, says %s", name, text_of(answer, "verdict"), text_of(answer, "source"));
    if (text_of(answer, "reason")[0] != '\0') {
        printf(": %s", text_of(answer, "reason"));
    }
    json_array_foreach(groups, index, group)
    {
        printf("%s%s", index == 0 ? "; groups " : ",", json_string_value(group));
    }
    if (text_of(answer, "address")[0] != '\0') {
        printf("; address %s", text_of(answer, "address"));
    }
    putchar('\n');
    if (text_of(answer, "message")[0] != '\0') {
        printf("%s\n", text_of(answer, "message"));
    }
    if (text_of(answer, "code")[0] != '\0') {
        printf("What to do: sekisho explain %s\n", text_of(answer, "code"));
    }
}

/* As often as something more is asked of the user. */
static int users_try(const struct command *command)
{
    const char *name = command->words[1];
    char state[2 * LOGIN_STATE_BYTES_MAX + 1] = "";
    char question[LOGIN_MESSAGE_BYTES + 2] = "Password: ";
    int exit_code = EXIT_OK;

    for (;;) {
        json_t *reply = ask_once(command, name, question, state, &exit_code);
        const json_t *answer = json_object_get(reply, "answer");

        if (reply == NULL) {
            return exit_code;
        }
        if (text_of(answer, "state")[0] == '\0') {
            bool accepted = strcmp(text_of(answer, "verdict"), "accepted") == 0;

            if (command->json) {
                print_json(answer);
            } else {
                print_try(name, answer);
            }
            json_decref(reply);
            return accepted ? EXIT_OK : EXIT_FAILED;
        }
        snprintf(state, sizeof(state), "%s", text_of(answer, "state"));
        snprintf(question, sizeof(question), "%s ", text_of(answer, "message"));
        if (!command->json && isatty(STDIN_FILENO) != 1) {
            printf("%s\n", text_of(answer, "message"));
        }
        json_decref(reply);
    }
}

/* ---- who is in ---- */

static void print_session(const json_t *session)
{
    char since[32], in[32], out[32];
    const char *group = text_of(session, "group");

    printf("%-20s %-12s %-16s %-24s %8s %10s %10s\n", text_of(session, "name"),
           group[0] == '\0' ? "-" : group,
           text_of(session, "address")[0] == '\0' ? "-" : text_of(session, "address"),
           text_of(session, "outer"), show_duration(number_of(session, "since_s"), since),
           show_bytes(number_of(session, "in_bytes"), in),
           show_bytes(number_of(session, "out_bytes"), out));
}

static int users_sessions(const struct command *command)
{
    struct command order = {
        .socket_path = command->socket_path, .verb = "sessions", .json = command->json};
    int exit_code = EXIT_OK;
    json_t *reply = daemon_ask_pages(&order, "sessions", &exit_code);
    const json_t *answer = json_object_get(reply, "answer");
    size_t index;
    json_t *session;

    if (reply == NULL) {
        return exit_code;
    }
    if (command->json) {
        print_json(answer);
    } else {
        printf("%-20s %-12s %-16s %-24s %8s %10s %10s\n", "SESSION", "GROUP", "ADDRESS", "FROM",
               "SINCE", "IN", "OUT");
        json_array_foreach(json_object_get(answer, "sessions"), index, session)
        {
            print_session(session);
        }
    }
    json_decref(reply);
    return exit_code;
}

/* The daemon's answer; NULL when nobody was asked. */
static json_t *log_out(const struct command *command, const char *name, int *exit_code)
{
    struct command order = {.socket_path = command->socket_path,
                            .verb = "users",
                            .words = {"kick", name},
                            .word_count = 2,
                            .json = command->json};

    return daemon_ask(&order, -1, exit_code);
}

static int users_kick(const struct command *command)
{
    const char *name = command->words[1];
    int exit_code = EXIT_OK;
    json_t *reply = log_out(command, name, &exit_code);
    const json_t *answer = json_object_get(reply, "answer");

    if (reply == NULL) {
        return exit_code;
    }
    if (command->json) {
        print_json(answer);
    } else {
        printf("%s %s.\n", name, is_true(answer, "was_in") ? "is logged out" : "was not logged in");
    }
    json_decref(reply);
    return exit_code;
}

void show_radius(const json_t *answer)
{
    size_t index;
    json_t *server;

    json_array_foreach(json_object_get(answer, "radius"), index, server)
    {
        double dropped = number_of(server, "forged") + number_of(server, "unsigned") +
                         number_of(server, "malformed");

        printf("radius %s: %s, %.0f accepted, %.0f refused", text_of(server, "server"),
               text_of(server, "state"), number_of(server, "accepts"),
               number_of(server, "rejects"));
        if (number_of(server, "given_up") > 0) {
            printf(", %.0f without an answer", number_of(server, "given_up"));
        }
        if (dropped > 0) {
            printf(", %.0f %s not believed", dropped, dropped == 1 ? "reply" : "replies");
        }
        putchar('\n');
    }
}

static const struct {
    const char *order;
    bool writes;
    size_t words; /* at least, with the order */
    size_t words_max;
    int (*on_user)(struct store *store, const char *name);
    int (*on_all)(struct store *store);
} orders[] = {
    {"add", true, 2, 2, users_add, NULL},
    {"remove", true, 2, 2, users_remove, NULL},
    {"passwd", true, 2, 2, users_passwd, NULL},
    {"otp", true, 2, 3, users_otp, NULL},
    {"disable", true, 2, 2, users_disable, NULL},
    {"enable", true, 2, 2, users_enable, NULL},
    {"groups", true, 2, COMMAND_WORDS_MAX, users_groups, NULL},
    {"list", false, 1, 1, NULL, users_list},
    {"check", false, 1, 1, NULL, users_check},
};

int verb_users(const struct command *command)
{
    const char *order = command->words[0];
    struct store store;

    if (strcmp(order, "hash") == 0 && command->word_count == 1) {
        return users_hash(command);
    }
    if (strcmp(order, "try") == 0 && command->word_count == 2) {
        return users_try(command);
    }
    if (strcmp(order, "sessions") == 0 && command->word_count == 1) {
        return users_sessions(command);
    }
    if (strcmp(order, "kick") == 0 && command->word_count == 2) {
        return users_kick(command);
    }
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (strcmp(order, orders[i].order) != 0 || command->word_count < orders[i].words ||
            command->word_count > orders[i].words_max) {
            continue;
        }
        int exit_code = store_open(&store, command, orders[i].writes);

        if (exit_code == EXIT_OK) {
            exit_code = orders[i].on_user != NULL ? orders[i].on_user(&store, command->words[1])
                                                  : orders[i].on_all(&store);
            store_close(&store);
        }
        return exit_code;
    }
    return fail_with(command->json, EXIT_USAGE, NULL, "usage: sekisho users %s",
                     verb_find("users")->arguments);
}
