/* Decides what the numbers of IKEv1 are called: the words of the RFCs and of IANA's registry. */
#include "wire/ikev1.h"
#include "wire/number_names.h"

const char *ikev1_exchange_name(uint8_t exchange)
{
    static const struct number_name names[] = {
        {IKEV1_BASE, "base"},
        {IKEV1_MAIN, "main mode"},
        {IKEV1_AUTHENTICATION_ONLY, "authentication only"},
        {IKEV1_AGGRESSIVE, "aggressive mode"},
        {IKEV1_INFORMATIONAL, "informational"},
        {IKEV1_TRANSACTION, "transaction"},
        {IKEV1_QUICK, "quick mode"},
        {IKEV1_NEW_GROUP, "new group mode"},
    };

    return number_name_find(names, ARRAY_LENGTH(names), exchange);
}

const char *ikev1_payload_name(uint8_t type)
{
    static const struct number_name names[] = {
        {IKEV1_SA, "SA"},
        {2, "P"},
        {3, "T"},
        {IKEV1_KE, "KE"},
        {IKEV1_ID, "ID"},
        {IKEV1_CERT, "CERT"},
        {IKEV1_CERTREQ, "CERTREQ"},
        {IKEV1_HASH, "HASH"},
        {IKEV1_SIG, "SIG"},
        {IKEV1_NONCE, "Nonce"},
        {IKEV1_NOTIFY, "N"},
        {IKEV1_DELETE, "D"},
        {IKEV1_VENDOR_ID, "VID"},
        {IKEV1_ATTRIBUTES, "ATTR"},
        {IKEV1_NAT_D_DRAFT_4, "NAT-D"},
        {IKEV1_NAT_OA_DRAFT_4, "NAT-OA"},
        {IKEV1_NAT_D, "NAT-D"},
        {IKEV1_NAT_OA, "NAT-OA"},
        {IKEV1_NAT_D_DRAFT, "NAT-D"},
        {IKEV1_NAT_OA_DRAFT, "NAT-OA"},
        {IKEV1_FRAGMENT, "FRAGMENT"},
    };

    return number_name_find(names, ARRAY_LENGTH(names), type);
}

const char *ikev1_notify_name(uint16_t type)
{
    static const struct number_name names[] = {
        {IKEV1_INVALID_PAYLOAD_TYPE, "INVALID-PAYLOAD-TYPE"},
        {IKEV1_DOI_NOT_SUPPORTED, "DOI-NOT-SUPPORTED"},
        {IKEV1_SITUATION_NOT_SUPPORTED, "SITUATION-NOT-SUPPORTED"},
        {IKEV1_INVALID_COOKIE, "INVALID-COOKIE"},
        {IKEV1_INVALID_MAJOR_VERSION, "INVALID-MAJOR-VERSION"},
        {IKEV1_INVALID_MINOR_VERSION, "INVALID-MINOR-VERSION"},
        {IKEV1_INVALID_EXCHANGE_TYPE, "INVALID-EXCHANGE-TYPE"},
        {IKEV1_INVALID_FLAGS, "INVALID-FLAGS"},
        {IKEV1_INVALID_MESSAGE_ID, "INVALID-MESSAGE-ID"},
        {IKEV1_INVALID_PROTOCOL_ID, "INVALID-PROTOCOL-ID"},
        {IKEV1_INVALID_SPI, "INVALID-SPI"},
        {IKEV1_INVALID_TRANSFORM_ID, "INVALID-TRANSFORM-ID"},
        {IKEV1_ATTRIBUTES_NOT_SUPPORTED, "ATTRIBUTES-NOT-SUPPORTED"},
        {IKEV1_NO_PROPOSAL_CHOSEN, "NO-PROPOSAL-CHOSEN"},
        {IKEV1_BAD_PROPOSAL_SYNTAX, "BAD-PROPOSAL-SYNTAX"},
        {IKEV1_PAYLOAD_MALFORMED, "PAYLOAD-MALFORMED"},
        {IKEV1_INVALID_KEY_INFORMATION, "INVALID-KEY-INFORMATION"},
        {IKEV1_INVALID_ID_INFORMATION, "INVALID-ID-INFORMATION"},
        {IKEV1_INVALID_CERT_ENCODING, "INVALID-CERT-ENCODING"},
        {IKEV1_INVALID_CERTIFICATE, "INVALID-CERTIFICATE"},
        {IKEV1_CERT_TYPE_UNSUPPORTED, "CERT-TYPE-UNSUPPORTED"},
        {IKEV1_INVALID_CERT_AUTHORITY, "INVALID-CERT-AUTHORITY"},
        {IKEV1_INVALID_HASH_INFORMATION, "INVALID-HASH-INFORMATION"},
        {IKEV1_AUTHENTICATION_FAILED, "AUTHENTICATION-FAILED"},
        {IKEV1_INVALID_SIGNATURE, "INVALID-SIGNATURE"},
        {IKEV1_ADDRESS_NOTIFICATION, "ADDRESS-NOTIFICATION"},
        {IKEV1_NOTIFY_SA_LIFETIME, "NOTIFY-SA-LIFETIME"},
        {IKEV1_CERTIFICATE_UNAVAILABLE, "CERTIFICATE-UNAVAILABLE"},
        {IKEV1_UNSUPPORTED_EXCHANGE_TYPE, "UNSUPPORTED-EXCHANGE-TYPE"},
        {IKEV1_UNEQUAL_PAYLOAD_LENGTHS, "UNEQUAL-PAYLOAD-LENGTHS"},
        {IKEV1_CONNECTED, "CONNECTED"},
        {IKEV1_RESPONDER_LIFETIME, "RESPONDER-LIFETIME"},
        {IKEV1_REPLAY_STATUS, "REPLAY-STATUS"},
        {IKEV1_INITIAL_CONTACT, "INITIAL-CONTACT"},
        {IKEV1_R_U_THERE, "R-U-THERE"},
        {IKEV1_R_U_THERE_ACK, "R-U-THERE-ACK"},
        {IKEV1_LOAD_BALANCE, "LOAD-BALANCE"},
    };

    return number_name_find(names, ARRAY_LENGTH(names), type);
}
