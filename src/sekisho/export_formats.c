/* Which products a peer's configuration can be written for. */
#include "sekisho/export_words.h"

static const struct export_format formats[] = {
    {"strongswan", "strongSwan", true, true, export_strongswan},
    {"libreswan", "Libreswan", true, false, export_libreswan},
    {"sekisho", "Sekisho", true, true, export_sekisho},
    {"cisco-ios", "Cisco IOS", false, false, export_cisco_ios},
    {"cisco-asa", "Cisco ASA", false, false, export_cisco_asa},
    {"fortigate", "FortiGate", false, false, export_fortigate},
    {"mikrotik", "MikroTik RouterOS", false, false, export_mikrotik},
    {"opnsense", "OPNsense", true, true, export_opnsense},
};

const struct export_format *export_format_at(size_t index)
{
    return index < ARRAY_LENGTH(formats) ? &formats[index] : NULL;
}
