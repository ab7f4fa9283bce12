/*
 * Decides which vendor IDs (RFC 2408 3.16) switch something on in IKEv1. They are the MD5 of a
 * text, or begin with it and end with a version.
 */
#include "wire/ikev1.h"

#define VENDOR_BYTES_MAX 20

struct vendor {
    uint8_t vendor; /* enum ikev1_vendor */
    uint8_t length; /* of what is sent */
    uint8_t prefix; /* how much of it must be there; when it is all, nothing may stand behind it */
    const char *name;
    uint8_t octets[VENDOR_BYTES_MAX];
};

static const struct vendor vendors[] = {
    {IKEV1_VENDOR_NAT_T,
     16,
     16,
     "NAT-T (RFC 3947)",
     {0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45, 0x5c, 0x57, 0x28, 0xf2, 0x0e, 0x95, 0x45,
      0x2f}},
    {IKEV1_VENDOR_NAT_T_DRAFT_02_N,
     16,
     16,
     "NAT-T (draft 02 with a line end)",
     {0x90, 0xcb, 0x80, 0x91, 0x3e, 0xbb, 0x69, 0x6e, 0x08, 0x63, 0x81, 0xb5, 0xec, 0x42, 0x7b,
      0x1f}},
    {IKEV1_VENDOR_NAT_T_DRAFT_02,
     16,
     16,
     "NAT-T (draft 02)",
     {0xcd, 0x60, 0x46, 0x43, 0x35, 0xdf, 0x21, 0xf8, 0x7c, 0xfd, 0xb2, 0xfc, 0x68, 0xb6, 0xa4,
      0x48}},
    {IKEV1_VENDOR_NAT_T_DRAFT_03,
     16,
     16,
     "NAT-T (draft 03)",
     {0x7d, 0x94, 0x19, 0xa6, 0x53, 0x10, 0xca, 0x6f, 0x2c, 0x17, 0x9d, 0x92, 0x15, 0x52, 0x9d,
      0x56}},
    {IKEV1_VENDOR_XAUTH, 8, 8, "XAUTH", {0x09, 0x00, 0x26, 0x89, 0xdf, 0xd6, 0xb7, 0x12}},
    /* The last two octets are the version (RFC 3706 5.1). */
    {IKEV1_VENDOR_DPD,
     16,
     14,
     "dead peer detection",
     {0xaf, 0xca, 0xd7, 0x13, 0x68, 0xa1, 0xf1, 0xc9, 0x6b, 0x86, 0x96, 0xfc, 0x77, 0x57, 0x01,
      0x00}},
    {IKEV1_VENDOR_UNITY,
     16,
     14,
     "Cisco Unity",
     {0x12, 0xf5, 0xf2, 0x8c, 0x45, 0x71, 0x68, 0xa9, 0x70, 0x2d, 0x9f, 0xe2, 0x74, 0xcc, 0x01,
      0x00}},
    /* Often with four octets of capabilities behind it. */
    {IKEV1_VENDOR_FRAGMENTATION, 20, 16, "fragmentation", {0x40, 0x48, 0xb7, 0xd5, 0x6e, 0xbc, 0xe8,
                                                           0x85, 0x25, 0xe7, 0xde, 0x7f, 0x00, 0xd6,
                                                           0xc2, 0xd3, 0x80, 0x00, 0x00, 0x00}},
    {IKEV1_VENDOR_INITIAL_CONTACT,
     16,
     16,
     "initial contact",
     {0x26, 0x24, 0x4d, 0x38, 0xed, 0xdb, 0x61, 0xb3, 0x17, 0x2a, 0x36, 0xe3, 0xd0, 0xcf, 0xb8,
      0x19}},
    {IKEV1_VENDOR_WINDOWS, 20, 16, "Windows", {0x1e, 0x2b, 0x51, 0x69, 0x05, 0x99, 0x1c,
                                               0x7d, 0x7c, 0x96, 0xfc, 0xbf, 0xb5, 0x87,
                                               0xe4, 0x61, 0x00, 0x00, 0x00, 0x09}},
};

static bool is_vendor(const struct vendor *v, struct slice body)
{
    if (v->prefix == v->length ? body.length != v->length : body.length < v->prefix) {
        return false;
    }
    return slice_equal((struct slice){body.data, v->prefix}, (struct slice){v->octets, v->prefix});
}

enum ikev1_vendor ikev1_vendor_of(struct slice body)
{
    for (size_t i = 0; i < ARRAY_LENGTH(vendors); i++) {
        if (is_vendor(&vendors[i], body)) {
            return (enum ikev1_vendor)vendors[i].vendor;
        }
    }
    return IKEV1_VENDOR_UNKNOWN;
}

static const struct vendor *find_vendor(enum ikev1_vendor vendor)
{
    for (size_t i = 0; i < ARRAY_LENGTH(vendors); i++) {
        if (vendors[i].vendor == vendor) {
            return &vendors[i];
        }
    }
    return NULL;
}

struct slice ikev1_vendor_octets(enum ikev1_vendor vendor)
{
    const struct vendor *v = find_vendor(vendor);

    return v == NULL ? (struct slice){NULL, 0} : (struct slice){v->octets, v->length};
}

const char *ikev1_vendor_name(enum ikev1_vendor vendor)
{
    const struct vendor *v = find_vendor(vendor);

    return v == NULL ? NULL : v->name;
}
