/*
 * The packets of RFC 2865 section 7, as they are printed there, but for the length of the last
 * State: its dump has 16, its text and the length of the packet say 10. The secret is "xyzzy5461".
 */
#ifndef SEKISHO_PROTO_RADIUS_RFC2865_EXAMPLES_H
#define SEKISHO_PROTO_RADIUS_RFC2865_EXAMPLES_H

#define EXAMPLE_SECRET "xyzzy5461"

#define EXAMPLE_1_REQUEST                                                                          \
    "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f"             \
    "782a0aee0406c0a80110050600000003"
#define EXAMPLE_1_ACCEPT                                                                           \
    "0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103"
#define EXAMPLE_2_REQUEST                                                                          \
    "010100472aee86f08d0d55969ca5978e0d3367a20108666c6f707379031316e97557c316185895f2"             \
    "93ff63440772750406c0a80110050600000014060600000002070600000001"
#define EXAMPLE_2_ACCEPT                                                                           \
    "0201003815efbc7dab26cfa3dc34d9c03c8601a40606000000020706000000010806fffffffe0a06"             \
    "000000020d06000000010c06000005dc"
#define EXAMPLE_3_REQUEST                                                                          \
    "01020039f3a47a1f6a6d76710b947ab93041a03901076d6f707379021233657573778289b570885e"             \
    "15084825c50406c0a80110050600000007"
#define EXAMPLE_3_CHALLENGE                                                                        \
    "0b02004e36f3c8764ae8c71157403c0c71ff9c4512304368616c6c656e6765203332373639343330"             \
    "2e2020456e74657220726573706f6e73652061742070726f6d70742e180a3332373639343330"
#define EXAMPLE_4_REQUEST                                                                          \
    "01030043b122556d428a13d0d6253807c457ecf001076d6f7073790212692c1f205fc081b919b951"             \
    "95f561a5810406c0a80110050600000007180a3332373639343330"
#define EXAMPLE_4_REJECT "03030014a42f4fca45916c4e09c8340f9e746aa0"

#endif
