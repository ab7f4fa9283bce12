/* Decides what the attributes of an authentic reply mean for a login, and which cannot be meant. */
#include <string.h>

#include "proto/radius/client.h"

/* RFC 2865 5.6: service types that are none of ours are as if the login was refused. */
enum { SERVICE_FRAMED = 2, SERVICE_OUTBOUND = 5, SERVICE_AUTHENTICATE_ONLY = 8 };

#define ADDRESS_OF_USERS_CHOICE 0xffffffffu /* RFC 2865 5.8 */
#define ADDRESS_OF_THE_POOL 0xfffffffeu

static bool take_number(struct slice value, uint32_t *out)
{
    if (value.length != 4) {
        return false;
    }
    *out = get_u32(value.data);
    return true;
}

static bool take_service(struct slice value)
{
    uint32_t service;

    return take_number(value, &service) &&
           (service == SERVICE_FRAMED || service == SERVICE_OUTBOUND ||
            service == SERVICE_AUTHENTICATE_ONLY);
}

static bool take_address(struct slice value, struct login_answer *answer)
{
    uint32_t number;

    if (!take_number(value, &number)) {
        return false;
    }
    if (number == ADDRESS_OF_USERS_CHOICE || number == ADDRESS_OF_THE_POOL) {
        return true;
    }
    answer->address = address_ipv4(number);
    return !address_is_any(&answer->address) && !address_is_multicast(&answer->address);
}

static bool take_netmask(struct slice value, struct login_answer *answer)
{
    uint32_t number;

    if (!take_number(value, &number)) {
        return false;
    }
    answer->netmask = address_ipv4(number);
    return true;
}

static bool is_group(struct slice name)
{
    for (size_t i = 0; i < name.length; i++) {
        uint8_t c = name.data[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || (c == '-' && i > 0);
        if (!fits) {
            return false;
        }
    }
    return name.length > 0;
}

/* A filter that is not understood must not be passed over: the user would be let in without it. */
static bool take_group(struct slice value, struct login_answer *answer)
{
    if (answer->group_count == LOGIN_GROUPS_MAX || !is_group(value) ||
        !text_copy(answer->groups[answer->group_count], LOGIN_GROUP_BYTES, value)) {
        return false;
    }
    answer->group_count++;
    return true;
}

/* RFC 2865 5.18: several are shown in their order. Nothing in it can move a cursor. */
static void take_message(struct slice value, struct login_answer *answer)
{
    size_t used = strlen(answer->message);

    for (size_t i = 0; i < value.length && used + 1 < sizeof(answer->message); i++) {
        uint8_t c = value.data[i];

        answer->message[used++] = (char)(c < ' ' || c == 0x7f ? ' ' : c);
    }
}

/* RFC 2865 5.25: returned as it came, so it is kept as it came: type, length, value. */
static bool take_class(struct slice value, struct login_answer *answer)
{
    struct writer w = writer_over(answer->class_bytes, sizeof(answer->class_bytes));

    w.length = answer->class_length;
    radius_write_attribute(&w, RADIUS_CLASS, value);
    if (!writer_ok(&w)) {
        return false;
    }
    answer->class_length = (uint8_t)w.length;
    return true;
}

static void add_dns(struct login_answer *answer, const struct address *address)
{
    if (answer->dns_count < LOGIN_DNS_MAX && !address_is_any(address)) {
        answer->dns[answer->dns_count++] = *address;
    }
}

/* Vendors' attributes that are not ours to know may have any form. */
static bool take_vendor(struct slice value, struct login_answer *answer)
{
    struct reader r = reader_over(value);
    struct radius_vendor_attribute vendor;

    if (!radius_read_vendor(&r, &vendor) || vendor.vendor != RADIUS_VENDOR_MICROSOFT ||
        (vendor.type != RADIUS_MS_PRIMARY_DNS_SERVER &&
         vendor.type != RADIUS_MS_SECONDARY_DNS_SERVER)) {
        return true;
    }
    if (vendor.value.length != 4) {
        return false;
    }
    struct address address = address_ipv4_bytes(vendor.value.data);

    add_dns(answer, &address);
    return true;
}

static bool take_dns6(struct slice value, struct login_answer *answer)
{
    if (value.length != 16) {
        return false;
    }
    struct address address = address_ipv6_bytes(value.data);

    add_dns(answer, &address);
    return true;
}

static bool take_user(struct slice value, struct login_answer *answer)
{
    return memchr(value.data, 0, value.length) == NULL &&
           text_copy(answer->user, sizeof(answer->user), value);
}

static bool take_state(struct slice value, struct login_state *state)
{
    if (state->length > 0) {
        return false; /* RFC 2865 5.24: there is one at most */
    }
    state->length = (uint8_t)value.length;
    memcpy(state->bytes, value.data, value.length);
    return true;
}

static bool take_one(const struct radius_attribute *a, struct login_answer *answer)
{
    switch (a->type) {
    case RADIUS_USER_NAME:
        return take_user(a->value, answer);
    case RADIUS_SERVICE_TYPE:
        return take_service(a->value);
    case RADIUS_FRAMED_IP_ADDRESS:
        return take_address(a->value, answer);
    case RADIUS_FRAMED_IP_NETMASK:
        return take_netmask(a->value, answer);
    case RADIUS_FILTER_ID:
        return take_group(a->value, answer);
    case RADIUS_CLASS:
        return take_class(a->value, answer);
    case RADIUS_SESSION_TIMEOUT:
        return take_number(a->value, &answer->session_timeout_s);
    case RADIUS_IDLE_TIMEOUT:
        return take_number(a->value, &answer->idle_timeout_s);
    case RADIUS_VENDOR_SPECIFIC:
        return take_vendor(a->value, answer);
    case RADIUS_DNS_SERVER_IPV6_ADDRESS:
        return take_dns6(a->value, answer);
    default:
        return true;
    }
}

bool radius_read_answer(const struct radius_packet *reply, struct login_answer *answer)
{
    struct reader attributes = reader_over(reply->attributes);
    struct radius_attribute a;

    while (radius_read_attribute(&attributes, &a)) {
        if (a.type == RADIUS_REPLY_MESSAGE) {
            take_message(a.value, answer);
        } else if (reply->code == RADIUS_ACCESS_CHALLENGE && a.type == RADIUS_STATE &&
                   !take_state(a.value, &answer->state)) {
            return false;
        } else if (reply->code == RADIUS_ACCESS_ACCEPT && !take_one(&a, answer)) {
            return false;
        }
    }
    return reply->code != RADIUS_ACCESS_CHALLENGE || answer->state.length > 0;
}
