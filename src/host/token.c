/*
 * Decides which token and which key a URI means, when a session is opened anew, and that a PIN
 * which was refused once is not tried again: three times lock most tokens.
 *
 * A PKCS#11 module belongs to the process, so the modules are kept here, under one lock. Signing
 * goes on without it: each signature has a session of the key to itself (PKCS#11 3.0, 5.2: one
 * operation at a time in a session), and a token does as many at once as it likes.
 */
#include "host/token.h"

#include <assert.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULES_MAX 32
#define SLOTS_MAX 64
#define SESSIONS_MAX 16 /* one for each thread that may sign */
#define REFUSED_MAX 16
#define PIN_BYTES_MAX 255
#define WORDS_BYTES 80

struct module {
    CK_FUNCTION_LIST *list;
    char *path; /* as the URI says it; NULL: p11-kit knows it by itself */
    bool usable; /* initialised */
    _Atomic size_t users; /* keys that are open, and signatures under way */
};

struct refused {
    char serial[16];
    char label[32];
    struct secret pin;
};

struct token_key {
    char *uri;
    struct secret pin;
    unsigned holders;
    pthread_mutex_t lock; /* of what follows */
    struct module *module; /* NULL: closed */
    CK_SLOT_ID slot;
    CK_OBJECT_HANDLE object;
    bool asks_always; /* CKA_ALWAYS_AUTHENTICATE */
    enum token_key_kind kind;
    uint64_t opened; /* how often: sessions of earlier times are closed */
    CK_SESSION_HANDLE idle[SESSIONS_MAX];
    size_t idle_count;
    char name[WORDS_BYTES]; /* of the token */
    struct token_key *next; /* in the grave */
};

static struct {
    pthread_mutex_t lock;
    struct module modules[MODULES_MAX];
    size_t count;
    bool registered; /* those that p11-kit knows are among them */
    struct refused refused[REFUSED_MAX];
    size_t refused_next;
} tokens = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Keys that nobody holds any more. Who let the last one go may be a thread that never waits, and a
 * token that is just being opened may be silent: whoever works with tokens next closes them. */
static struct {
    pthread_mutex_t lock; /* for moments */
    struct token_key *first;
} grave = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool token_is_known(void)
{
    return true;
}

/* ---- words ---- */

/* Blanks fill the fields of tokens. */
static void field_words(const unsigned char *field, size_t length, char out[WORDS_BYTES])
{
    size_t kept = 0;

    while (length > 0 && (field[length - 1] == ' ' || field[length - 1] == '\0')) {
        length--;
    }
    for (size_t i = 0; i < length && kept + 1 < WORDS_BYTES; i++) {
        out[kept++] = field[i] < 0x20 || field[i] > 0x7e ? '?' : (char)field[i];
    }
    out[kept] = '\0';
}

static const char *words_of(CK_RV rv)
{
    switch (rv) {
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_SLOT_ID_INVALID:
        return "it is not there any more";
    case CKR_TOKEN_NOT_RECOGNIZED:
        return "its module does not know this kind of token";
    case CKR_DEVICE_ERROR:
        return "it reports a fault of its own";
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
        return "the PIN is wrong";
    case CKR_PIN_LOCKED:
        return "its PIN is locked";
    case CKR_PIN_EXPIRED:
        return "its PIN has to be changed first";
    case CKR_USER_PIN_NOT_INITIALIZED:
        return "it has no PIN of a user yet";
    case CKR_USER_NOT_LOGGED_IN:
        return "it wants a PIN: write behind the key: pin @NAME";
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
        return "it does not do this kind of signature";
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
        return "this key is not for signing";
    case CKR_SESSION_COUNT:
        return "it has no session left";
    default:
        return p11_kit_strerror(rv);
    }
}

static bool fail(char *why, size_t why_bytes, const char *name, CK_RV rv)
{
    snprintf(why, why_bytes, "token '%s': %s", name, words_of(rv));
    return false;
}

/* ---- modules ---- */

static struct module *add_module(CK_FUNCTION_LIST *list, char *path)
{
    struct module *module = &tokens.modules[tokens.count];

    if (tokens.count == MODULES_MAX) {
        p11_kit_module_release(list);
        free(path);
        return NULL;
    }
    *module = (struct module){.list = list, .path = path};
    tokens.count++;
    return module;
}

static bool module_start(struct module *module)
{
    CK_RV rv = module->usable ? CKR_OK : p11_kit_module_initialize(module->list);

    module->usable = rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED;
    return module->usable;
}

static void module_end(struct module *module)
{
    if (module->usable) {
        (void)p11_kit_module_finalize(module->list);
        module->usable = false;
    }
}

static bool load_registered(void)
{
    CK_FUNCTION_LIST **lists = tokens.registered ? NULL : p11_kit_modules_load(NULL, 0);

    tokens.registered = true;
    for (size_t i = 0; lists != NULL && lists[i] != NULL; i++) {
        (void)add_module(lists[i], NULL);
    }
    free(lists); /* the modules are released one by one */
    return true;
}

static bool load_path(const char *path, char *why, size_t why_bytes)
{
    for (size_t i = 0; i < tokens.count; i++) {
        if (tokens.modules[i].path != NULL && strcmp(tokens.modules[i].path, path) == 0) {
            return true;
        }
    }
    char *copy = strdup(path);
    CK_FUNCTION_LIST *list = copy == NULL ? NULL : p11_kit_module_load(path, 0);

    if (list == NULL) {
        snprintf(why, why_bytes, "the module %s cannot be loaded: %s", path,
                 copy == NULL ? "no memory" : p11_kit_message());
        free(copy);
        return false;
    }
    if (add_module(list, copy) == NULL) {
        snprintf(why, why_bytes, "more than %d modules are too many", MODULES_MAX);
        return false;
    }
    return true;
}

/* NULL with a sentence. */
static P11KitUri *read_uri(const char *text, char *why, size_t why_bytes)
{
    P11KitUri *uri = p11_kit_uri_new();
    int result =
        uri == NULL ? P11_KIT_URI_NO_MEMORY : p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);

    if (result != P11_KIT_URI_OK) {
        snprintf(why, why_bytes, "%s is no URI of a key (RFC 7512): %s", text,
                 p11_kit_uri_message(result));
    } else if (p11_kit_uri_any_unrecognized(uri)) {
        snprintf(why, why_bytes, "%s has an attribute that is not known (RFC 7512 2.3)", text);
    } else if (p11_kit_uri_get_pin_value(uri) != NULL || p11_kit_uri_get_pin_source(uri) != NULL) {
        snprintf(why, why_bytes, "the PIN of a token does not stand in its URI");
    } else {
        return uri;
    }
    p11_kit_uri_free(uri);
    return NULL;
}

static bool load_for(P11KitUri *uri, char *why, size_t why_bytes)
{
    const char *path = p11_kit_uri_get_module_path(uri);

    if (!(path != NULL ? load_path(path, why, why_bytes) : load_registered())) {
        return false;
    }
    bool any = false;

    for (size_t i = 0; i < tokens.count; i++) {
        any = module_start(&tokens.modules[i]) || any;
    }
    if (!any) {
        snprintf(why, why_bytes,
                 "p11-kit knows no module that works: install that of your token, or name it "
                 "behind the URI: ?module-path=FILE");
    }
    return any;
}

static bool module_is_meant(const struct module *module, P11KitUri *uri)
{
    const char *path = p11_kit_uri_get_module_path(uri);
    const char *name = p11_kit_uri_get_module_name(uri);
    CK_INFO info;

    if (path != NULL && (module->path == NULL || strcmp(module->path, path) != 0)) {
        return false;
    }
    if (name != NULL) {
        char *own = p11_kit_module_get_name(module->list);
        bool same = own != NULL && strcmp(own, name) == 0;

        free(own);
        if (!same) {
            return false;
        }
    }
    return module->usable && module->list->C_GetInfo(&info) == CKR_OK &&
           p11_kit_uri_match_module_info(uri, &info) == 1;
}

/* ---- tokens ---- */

struct found {
    struct module *module;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
};

static size_t find_in_module(struct module *module, P11KitUri *uri, struct found *out)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = 0;
    size_t fitting = 0;

    /* Asked without a list first: modules look for new tokens then (PKCS#11 3.0, 5.5.1). */
    if (module->list->C_GetSlotList(CK_TRUE, NULL, &count) != CKR_OK) {
        return 0;
    }
    count = SLOTS_MAX;
    if (module->list->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) {
        return 0;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;

        if (module->list->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            p11_kit_uri_match_token_info(uri, &info) == 1 &&
            (info.flags & CKF_TOKEN_INITIALIZED) != 0) {
            if (fitting++ == 0) {
                *out = (struct found){module, slots[i], info};
            }
        }
    }
    return fitting;
}

static size_t find_token(P11KitUri *uri, struct found *out)
{
    size_t fitting = 0;

    for (size_t i = 0; i < tokens.count; i++) {
        struct found found;

        if (module_is_meant(&tokens.modules[i], uri)) {
            size_t here = find_in_module(&tokens.modules[i], uri, &found);

            if (here > 0 && fitting == 0) {
                *out = found;
            }
            fitting += here;
        }
    }
    return fitting;
}

/* Some modules only see at their beginning what is there. */
static void start_again(P11KitUri *uri)
{
    for (size_t i = 0; i < tokens.count; i++) {
        if (tokens.modules[i].users == 0 &&
            (!tokens.modules[i].usable || module_is_meant(&tokens.modules[i], uri))) {
            module_end(&tokens.modules[i]);
            (void)module_start(&tokens.modules[i]);
        }
    }
}

static bool get_token(const char *text, P11KitUri *uri, struct found *out, char *why,
                      size_t why_bytes)
{
    size_t fitting = find_token(uri, out);

    if (fitting == 0) {
        start_again(uri);
        fitting = find_token(uri, out);
    }
    if (fitting != 1) {
        snprintf(why, why_bytes,
                 fitting == 0 ? "there is no token as %s says"
                              : "%s fits several tokens: say which with token=, serial= or model=",
                 text);
    }
    return fitting == 1;
}

/* ---- logging in ---- */

static struct refused *find_refused(const CK_TOKEN_INFO *info, const struct secret *pin)
{
    for (size_t i = 0; i < REFUSED_MAX; i++) {
        struct refused *r = &tokens.refused[i];

        if (r->pin.length > 0 && memcmp(r->serial, info->serialNumber, sizeof(r->serial)) == 0 &&
            memcmp(r->label, info->label, sizeof(r->label)) == 0 && secret_equal(&r->pin, pin)) {
            return r;
        }
    }
    return NULL;
}

static void remember_refused(const CK_TOKEN_INFO *info, const struct secret *pin)
{
    struct refused *r = &tokens.refused[tokens.refused_next++ % REFUSED_MAX];

    memcpy(r->serial, info->serialNumber, sizeof(r->serial));
    memcpy(r->label, info->label, sizeof(r->label));
    if (!secret_copy(&r->pin, pin)) {
        secret_wipe(&r->pin);
    }
}

static bool log_in(struct token_key *key, CK_SESSION_HANDLE session, const CK_TOKEN_INFO *info,
                   char *why, size_t why_bytes)
{
    CK_UTF8CHAR pin[PIN_BYTES_MAX];
    size_t length = key->pin.length;

    if (length == 0) {
        return true; /* what is hidden without a PIN is not found then */
    }
    if ((info->flags & CKF_USER_PIN_LOCKED) != 0) {
        return fail(why, why_bytes, key->name, CKR_PIN_LOCKED);
    }
    if ((info->flags & CKF_USER_PIN_FINAL_TRY) != 0) {
        snprintf(why, why_bytes,
                 "token '%s': one more wrong PIN locks it, so we do not try: log in once with the "
                 "token's own tool",
                 key->name);
        return false;
    }
    if (find_refused(info, &key->pin) != NULL) {
        snprintf(why, why_bytes,
                 "token '%s' refused this PIN, which is not tried again: sekisho secret set NAME, "
                 "then sekisho apply",
                 key->name);
        return false;
    }
    if (length > sizeof(pin)) {
        return fail(why, why_bytes, key->name, CKR_PIN_LEN_RANGE);
    }
    memcpy(pin, key->pin.bytes, length);
    CK_RV rv = key->module->list->C_Login(session, CKU_USER, pin, length);

    wipe(pin, sizeof(pin));
    if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE) {
        remember_refused(info, &key->pin);
    }
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? true
                                                            : fail(why, why_bytes, key->name, rv);
}

/* ---- the key ---- */

static bool read_kind(struct token_key *key, CK_SESSION_HANDLE session, char *why, size_t why_bytes)
{
    CK_KEY_TYPE type = 0;
    CK_BBOOL always = CK_FALSE;
    CK_ATTRIBUTE kind = {CKA_KEY_TYPE, &type, sizeof(type)};
    CK_ATTRIBUTE asks = {CKA_ALWAYS_AUTHENTICATE, &always, sizeof(always)};
    CK_RV rv = key->module->list->C_GetAttributeValue(session, key->object, &kind, 1);

    if (rv != CKR_OK) {
        return fail(why, why_bytes, key->name, rv);
    }
    /* Older modules do not have it. */
    key->asks_always =
        key->module->list->C_GetAttributeValue(session, key->object, &asks, 1) == CKR_OK &&
        always == CK_TRUE;
    switch (type) {
    case CKK_RSA:
        key->kind = TOKEN_KEY_RSA;
        return true;
    case CKK_EC:
        key->kind = TOKEN_KEY_EC;
        return true;
    case CKK_EC_EDWARDS:
        key->kind = TOKEN_KEY_EDWARDS;
        return true;
    default:
        snprintf(why, why_bytes, "token '%s': the key is neither RSA nor of an elliptic curve",
                 key->name);
        return false;
    }
}

static bool find_object(struct token_key *key, P11KitUri *uri, CK_SESSION_HANDLE session, char *why,
                        size_t why_bytes)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE wanted = {CKA_CLASS, &class, sizeof(class)};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0, attribute_count = 0;

    (void)p11_kit_uri_set_attribute(uri, &wanted);
    CK_ATTRIBUTE *attributes = p11_kit_uri_get_attributes(uri, &attribute_count);
    CK_FUNCTION_LIST *list = key->module->list;
    CK_RV rv = list->C_FindObjectsInit(session, attributes, attribute_count);

    if (rv == CKR_OK) {
        rv = list->C_FindObjects(session, found, 2, &count);
        (void)list->C_FindObjectsFinal(session);
    }
    if (rv != CKR_OK) {
        return fail(why, why_bytes, key->name, rv);
    }
    if (count != 1) {
        snprintf(why, why_bytes, "token '%s' has %s", key->name,
                 count == 0
                     ? (key->pin.length == 0
                            ? "no such private key, or shows it after its PIN only (pin @NAME)"
                            : "no such private key")
                     : "several private keys of that name: say which with id=%..");
        return false;
    }
    key->object = found[0];
    return read_kind(key, session, why, why_bytes);
}

static void close_sessions(struct token_key *key)
{
    for (size_t i = 0; i < key->idle_count; i++) {
        (void)key->module->list->C_CloseSession(key->idle[i]);
    }
    key->idle_count = 0;
}

/* With both locks. */
static void close_key(struct token_key *key)
{
    if (key->module != NULL) {
        close_sessions(key);
        key->module->users--;
        key->module = NULL;
    }
    key->opened++;
}

/* With tokens.lock. */
static void bury_all(void)
{
    (void)pthread_mutex_lock(&grave.lock);
    struct token_key *key = grave.first;

    grave.first = NULL;
    (void)pthread_mutex_unlock(&grave.lock);
    while (key != NULL) {
        struct token_key *next = key->next;

        close_key(key);
        (void)pthread_mutex_destroy(&key->lock);
        secret_wipe(&key->pin);
        free(key->uri);
        free(key);
        key = next;
    }
}

/* With both locks: token, session, PIN, key. */
static bool open_key(struct token_key *key, P11KitUri *uri, char *why, size_t why_bytes)
{
    CK_SESSION_HANDLE session;
    struct found found;

    if (!load_for(uri, why, why_bytes) || !get_token(key->uri, uri, &found, why, why_bytes)) {
        return false;
    }
    field_words(found.info.label, sizeof(found.info.label), key->name);
    CK_RV rv =
        found.module->list->C_OpenSession(found.slot, CKF_SERIAL_SESSION, NULL, NULL, &session);

    if (rv != CKR_OK) {
        return fail(why, why_bytes, key->name, rv);
    }
    key->module = found.module;
    key->slot = found.slot;
    key->module->users++;
    key->idle[key->idle_count++] = session;
    if (!log_in(key, session, &found.info, why, why_bytes) ||
        !find_object(key, uri, session, why, why_bytes)) {
        close_key(key);
        return false;
    }
    return true;
}

static bool open_again(struct token_key *key, char *why, size_t why_bytes)
{
    P11KitUri *uri = read_uri(key->uri, why, why_bytes);
    bool open = false;

    if (uri != NULL) {
        (void)pthread_mutex_lock(&tokens.lock);
        open = key->module != NULL || open_key(key, uri, why, why_bytes);
        bury_all();
        (void)pthread_mutex_unlock(&tokens.lock);
        p11_kit_uri_free(uri);
    }
    return open;
}

struct token_key *token_key_open(const char *uri, const struct secret *pin, char *why,
                                 size_t why_bytes)
{
    struct token_key *key = calloc(1, sizeof(*key));

    if (key == NULL) {
        snprintf(why, why_bytes, "no memory");
        return NULL;
    }
    key->holders = 1;
    (void)pthread_mutex_init(&key->lock, NULL);
    key->uri = strdup(uri);
    if (key->uri == NULL || !secret_copy(&key->pin, pin)) {
        snprintf(why, why_bytes, "no memory");
        token_key_free(key);
        return NULL;
    }
    (void)pthread_mutex_lock(&key->lock);
    bool open = open_again(key, why, why_bytes);
    (void)pthread_mutex_unlock(&key->lock);

    if (!open) {
        token_key_free(key);
        return NULL;
    }
    return key;
}

struct token_key *token_key_hold(struct token_key *key)
{
    __atomic_add_fetch(&key->holders, 1, __ATOMIC_RELAXED);
    return key;
}

void token_key_free(struct token_key *key)
{
    if (key == NULL || __atomic_sub_fetch(&key->holders, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    (void)pthread_mutex_lock(&grave.lock);
    key->next = grave.first;
    grave.first = key;
    (void)pthread_mutex_unlock(&grave.lock);
    if (pthread_mutex_trylock(&tokens.lock) == 0) {
        bury_all();
        (void)pthread_mutex_unlock(&tokens.lock);
    }
}

enum token_key_kind token_key_kind(const struct token_key *key)
{
    return key->kind;
}

/* ---- signing ---- */

static CK_MECHANISM_TYPE mechanism_of(enum token_step step)
{
    switch (step) {
    case TOKEN_RSA_PKCS1:
        return CKM_RSA_PKCS;
    case TOKEN_RSA_PSS:
        return CKM_RSA_PKCS_PSS;
    case TOKEN_ECDSA:
        return CKM_ECDSA;
    case TOKEN_EDDSA:
        return CKM_EDDSA;
    }
    assert(false);
    return 0;
}

static CK_RSA_PKCS_PSS_PARAMS pss_of(unsigned hash_bits)
{
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, hash_bits / 8};

    if (hash_bits == 384) {
        pss.hashAlg = CKM_SHA384;
        pss.mgf = CKG_MGF1_SHA384;
    } else if (hash_bits == 512) {
        pss.hashAlg = CKM_SHA512;
        pss.mgf = CKG_MGF1_SHA512;
    }
    return pss;
}

bool token_key_can(struct token_key *key, enum token_step step)
{
    CK_MECHANISM_INFO info;

    (void)pthread_mutex_lock(&key->lock);
    bool can =
        key->module != NULL &&
        key->module->list->C_GetMechanismInfo(key->slot, mechanism_of(step), &info) == CKR_OK &&
        (info.flags & CKF_SIGN) != 0;
    (void)pthread_mutex_unlock(&key->lock);
    return can;
}

/* What one signature works with: a session of its own. */
struct turn {
    struct module *module;
    CK_FUNCTION_LIST *list;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE object;
    bool asks_always;
    uint64_t opened;
};

static bool is_over(CK_RV rv)
{
    switch (rv) {
    case CKR_DEVICE_REMOVED:
    case CKR_DEVICE_ERROR:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_TOKEN_NOT_RECOGNIZED:
    case CKR_SLOT_ID_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
    case CKR_GENERAL_ERROR:
    case CKR_FUNCTION_FAILED:
        return true;
    default:
        return false;
    }
}

static bool turn_begin(struct token_key *key, struct turn *turn, char *why, size_t why_bytes)
{
    CK_RV rv = CKR_OK;

    (void)pthread_mutex_lock(&key->lock);
    bool open = key->module != NULL || open_again(key, why, why_bytes);

    if (open) {
        *turn = (struct turn){.module = key->module,
                              .list = key->module->list,
                              .object = key->object,
                              .asks_always = key->asks_always,
                              .opened = key->opened};
        if (key->idle_count > 0) {
            turn->session = key->idle[--key->idle_count];
        } else {
            rv = turn->list->C_OpenSession(key->slot, CKF_SERIAL_SESSION, NULL, NULL,
                                           &turn->session);
        }
        open = rv == CKR_OK || fail(why, why_bytes, key->name, rv);
        turn->module->users += open ? 1 : 0;
    }
    if (rv != CKR_OK && is_over(rv)) {
        /* It may be in another slot: the next one looks for it. */
        (void)pthread_mutex_lock(&tokens.lock);
        close_key(key);
        (void)pthread_mutex_unlock(&tokens.lock);
    }
    (void)pthread_mutex_unlock(&key->lock);
    return open;
}

/* After a failure the session is closed, and whatever it began is over with it. */
static void turn_end(struct token_key *key, const struct turn *turn, bool good)
{
    (void)pthread_mutex_lock(&key->lock);
    if (good && turn->opened == key->opened && key->idle_count < SESSIONS_MAX) {
        key->idle[key->idle_count++] = turn->session;
    } else {
        (void)turn->list->C_CloseSession(turn->session);
    }
    turn->module->users--;
    (void)pthread_mutex_unlock(&key->lock);
}

/* After what only a new beginning helps against. */
static CK_RV log_in_for_one(const struct token_key *key, const struct turn *turn)
{
    CK_UTF8CHAR pin[PIN_BYTES_MAX];
    size_t length = key->pin.length;

    if (!turn->asks_always || length == 0 || length > sizeof(pin)) {
        return CKR_OK;
    }
    memcpy(pin, key->pin.bytes, length);
    CK_RV rv = turn->list->C_Login(turn->session, CKU_CONTEXT_SPECIFIC, pin, length);

    wipe(pin, sizeof(pin));
    return rv;
}

static CK_RV sign_once(const struct token_key *key, const struct turn *turn, enum token_step step,
                       unsigned hash_bits, struct slice input, struct writer *out)
{
    CK_RSA_PKCS_PSS_PARAMS pss = pss_of(hash_bits);
    CK_MECHANISM mechanism = {mechanism_of(step), step == TOKEN_RSA_PSS ? &pss : NULL,
                              step == TOKEN_RSA_PSS ? sizeof(pss) : 0};
    uint8_t bytes[1024]; /* RSA of 8192 bits */
    CK_ULONG length = sizeof(bytes);
    CK_RV rv = turn->list->C_SignInit(turn->session, &mechanism, turn->object);

    if (rv == CKR_OK) {
        rv = log_in_for_one(key, turn);
    }
    if (rv == CKR_OK) {
        rv = turn->list->C_Sign(turn->session, (CK_BYTE *)(uintptr_t)input.data, input.length,
                                bytes, &length);
    }
    if (rv == CKR_OK) {
        write_slice(out, (struct slice){bytes, length});
        rv = writer_ok(out) ? CKR_OK : CKR_BUFFER_TOO_SMALL;
    }
    return rv;
}

/* Others may have begun anew already. */
static void forget_sessions(struct token_key *key, uint64_t opened)
{
    (void)pthread_mutex_lock(&key->lock);
    if (key->opened == opened) {
        (void)pthread_mutex_lock(&tokens.lock);
        close_key(key);
        (void)pthread_mutex_unlock(&tokens.lock);
    }
    (void)pthread_mutex_unlock(&key->lock);
}

bool token_key_sign(struct token_key *key, enum token_step step, unsigned hash_bits,
                    struct slice input, struct writer *out, char *why, size_t why_bytes)
{
    CK_RV rv = CKR_OK;

    for (size_t attempt = 0; attempt < 2; attempt++) {
        struct turn turn;

        if (!turn_begin(key, &turn, why, why_bytes)) {
            return false;
        }
        rv = sign_once(key, &turn, step, hash_bits, input, out);
        turn_end(key, &turn, rv == CKR_OK);
        if (rv == CKR_OK) {
            return true;
        }
        if (!is_over(rv)) {
            break;
        }
        forget_sessions(key, turn.opened);
    }
    return fail(why, why_bytes, key->name, rv);
}

void token_unload(void)
{
    (void)pthread_mutex_lock(&tokens.lock);
    bury_all();
    for (size_t i = 0; i < tokens.count; i++) {
        if (tokens.modules[i].users > 0) {
            continue;
        }
        module_end(&tokens.modules[i]);
        p11_kit_module_release(tokens.modules[i].list);
        free(tokens.modules[i].path);
    }
    tokens.count = 0;
    tokens.registered = false;
    for (size_t i = 0; i < REFUSED_MAX; i++) {
        secret_wipe(&tokens.refused[i].pin);
    }
    (void)pthread_mutex_unlock(&tokens.lock);
}
