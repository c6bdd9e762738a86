/* lua_client.c - the userdata of a client and what it begins. See lua_core.h. */
#include "lua_core.h"

#define CLIENT "filescom.client"
#define BOX_INDEX 4

typedef struct client_box {
    filescom_client *client; /* NULL once closed */
} client_box;

int core_new_client(lua_State *L)
{
    char message[FILESCOM_MESSAGE_SIZE];
    filescom_options options;
    client_box *box;
    filescom_code code;

    core_read_options(L, 1, &options);
    box = lua_newuserdatauv(L, sizeof *box, 0);
    box->client = NULL;
    luaL_getmetatable(L, CLIENT);
    lua_setmetatable(L, -2);
    code = filescom_client_new(core_engine(L), &options, &box->client, message);
    return code == FILESCOM_OK ? 1 : core_raise(L, code, message);
}

static filescom_client *client_of(lua_State *L, const client_box *box)
{
    if (box->client == NULL)
        core_usage_error(L, "the client is closed");
    return box->client;
}

/* close, __gc and __close; may run twice. Exchanges that are in flight go on. */
static int client_close(lua_State *L)
{
    client_box *box = luaL_checkudata(L, 1, CLIENT);

    filescom_client_release(box->client);
    box->client = NULL;
    return 0;
}

static int client_base_url(lua_State *L)
{
    const client_box *box = luaL_checkudata(L, 1, CLIENT);

    lua_pushstring(L, filescom_client_base_url(client_of(L, box)));
    return 1;
}

static int client_tostring(lua_State *L)
{
    client_box *box = luaL_checkudata(L, 1, CLIENT);

    if (box->client == NULL)
        lua_pushliteral(L, CLIENT " (closed)");
    else
        lua_pushfstring(L, CLIENT " (%s)", filescom_client_base_url(box->client));
    return 1;
}

/* With the box of an exchange at the top: that, or nil and why it could not begin now. */
static int begun(lua_State *L, filescom_code code, const char *message)
{
    if (code == FILESCOM_OK)
        return 1;
    if (code == FILESCOM_BUSY)
        return core_push_own_failure(L, code, message);
    return core_raise(L, code, message);
}

/* What begins an exchange works on: both in the arguments' places of the stack. */
typedef struct beginning {
    const client_box *client;
    exchange_box *box;
} beginning;

/*
 * What begins an exchange allocates first of all: that may run finalizers, and these may close the
 * client or take values out of the tables that are read. From then on nothing runs but C.
 */
static beginning begin(lua_State *L, exchange_kind kind)
{
    beginning made = {.client = luaL_checkudata(L, 1, CLIENT)};

    lua_settop(L, BOX_INDEX - 1);
    made.box = core_push_exchange(L, kind);
    return made;
}

/* client:begin_login(credentials [, base_url]) -> exchange */
static int client_begin_login(lua_State *L)
{
    char message[FILESCOM_MESSAGE_SIZE];
    beginning made = begin(L, EXCHANGE_LOGIN);
    filescom_client *client = client_of(L, made.client);
    const char *base_url = core_optional_string(L, 3, "base_url");
    filescom_credentials credentials;

    core_read_credentials(L, 2, &credentials);
    return begun(L, filescom_login(client, base_url, &credentials, &made.box->exchange, message),
                 message);
}

/* client:begin_logout(id [, base_url]) -> exchange */
static int client_begin_logout(lua_State *L)
{
    char message[FILESCOM_MESSAGE_SIZE];
    beginning made = begin(L, EXCHANGE_LOGOUT);
    filescom_client *client = client_of(L, made.client);
    const char *base_url = core_optional_string(L, 3, "base_url");
    filescom_bytes id;

    if (lua_type(L, 2) != LUA_TSTRING)
        core_usage_error(L, "a session id must be a non-empty string of visible ASCII");
    id.data = lua_tolstring(L, 2, &id.size);
    return begun(L, filescom_logout(client, base_url, id, &made.box->exchange, message), message);
}

/* client:begin_request(request) -> exchange */
static int client_begin_request(lua_State *L)
{
    char message[FILESCOM_MESSAGE_SIZE];
    beginning made = begin(L, EXCHANGE_CALL);
    filescom_request request;

    made.box->kind = core_read_request(L, 2, &request);
    lua_pushvalue(L, BOX_INDEX);
    return begun(L,
                 filescom_call(client_of(L, made.client), &request, &made.box->exchange, message),
                 message);
}

static int client_login(lua_State *L)
{
    int count = client_begin_login(L);

    return count == 1 ? core_complete_exchange(L) : count;
}

static int client_logout(lua_State *L)
{
    int count = client_begin_logout(L);

    return count == 1 ? core_complete_exchange(L) : count;
}

static int client_request(lua_State *L)
{
    int count = client_begin_request(L);

    return count == 1 ? core_complete_exchange(L) : count;
}

static const luaL_Reg methods[] = {
    {"login", client_login},
    {"logout", client_logout},
    {"request", client_request},
    {"begin_login", client_begin_login},
    {"begin_logout", client_begin_logout},
    {"begin_request", client_begin_request},
    {"base_url", client_base_url},
    {"close", client_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", client_close},
    {"__close", client_close},
    {"__tostring", client_tostring},
    {NULL, NULL},
};

void core_open_client(lua_State *L)
{
    core_new_class(L, CLIENT, methods, metamethods);
}
