//! Who is signed in, and what was given out to them.

use crate::{
    people::{May, People},
    secrets::{draw, Digest},
    Config,
};
use contract::Problem;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;
use waiting::{Access, Over};

/// One sign-in: what a session's record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct LoginId(u64);

/// Everybody who is signed in. Clones share it.
#[derive(Clone)]
pub struct Logins(Arc<Shared>);

struct Shared {
    config: Config,
    /// Locked for a look-up, and never across an await.
    state: Mutex<State>,
}

struct State {
    people: People,
    /// At most [`Config::max_logins`].
    logins: HashMap<LoginId, Login>,
    next: u64,
    /// By their hashes; each once.
    tickets: HashMap<Digest, Ticket>,
    tokens: HashMap<Digest, Token>,
}

struct Login {
    name: String,
    /// Of all that was begun with the session's cookie, or with a ticket.
    access: Access,
    until: Instant,
}

struct Ticket {
    login: LoginId,
    until: Instant,
}

struct Token {
    login: LoginId,
    /// Of all that was begun with this token.
    access: Access,
    until: Instant,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

/// How many tickets, and how many tokens, one login may have open. A page needs one of
/// each at a time; a client in a circle must not fill the memory.
const MAX_OPEN: usize = 16;

impl Logins {
    pub(crate) fn new(people: People, config: Config) -> Self {
        let state = Mutex::new(State {
            people,
            logins: HashMap::new(),
            next: 0,
            tickets: HashMap::new(),
            tokens: HashMap::new(),
        });
        Self(Arc::new(Shared { config, state }))
    }

    /// The hash of this person's password.
    pub(crate) fn hash_of(&self, name: &str) -> Option<String> {
        let state = self.lock();
        state.people.get(name).map(|person| person.hash.clone())
    }

    /// Somebody has shown its password.
    ///
    /// # Errors
    /// 503 `busy` where too many are signed in.
    pub(crate) fn begin(&self, name: &str) -> Result<LoginId, Problem> {
        let mut state = self.lock();
        if state.logins.len() >= self.0.config.max_logins {
            return Err(Problem::busy().with_detail("too many are signed in"));
        }
        let person = state.people.get(name);
        let person =
            person.ok_or_else(|| Problem::unauthorized("nobody has this name"))?;
        let until = Instant::now() + self.0.config.session;
        let login = Login {
            name: name.to_owned(),
            access: Access::new(person.may.rights(), Some(until)),
            until,
        };
        let id = LoginId(state.next);
        state.next += 1;
        state.logins.insert(id, login);
        Ok(id)
    }

    // ANCHOR: end
    /// The sign-in is over: everything that was begun with its cookie, its tickets and
    /// its tokens ends at once.
    pub(crate) fn end(&self, id: LoginId) {
        let mut state = self.lock();
        if let Some(login) = state.logins.remove(&id) {
            login.access.end(Over::Denied);
        }
        state.tickets.retain(|_, ticket| ticket.login != id);
        state.tokens.retain(|_, token| {
            let of_this = token.login == id;
            if of_this {
                token.access.end(Over::Denied);
            }
            !of_this
        });
    }
    // ANCHOR_END: end

    /// Somebody may do other things from now on: whatever is open of it is judged so
    /// from the next event on. Whether there is somebody of this name.
    pub fn change(&self, name: &str, may: May) -> bool {
        let mut state = self.lock();
        let Some(person) = state.people.get_mut(name) else {
            return false;
        };
        let rights = may.rights();
        person.may = may;
        for (id, login) in &state.logins {
            if login.name == name {
                login.access.change(rights.clone());
                let tokens = state.tokens.values().filter(|token| token.login == *id);
                tokens.for_each(|token| token.access.change(rights.clone()));
            }
        }
        true
    }

    /// What somebody of this name may do.
    pub(crate) fn may(&self, name: &str) -> Option<May> {
        let state = self.lock();
        state.people.get(name).map(|person| person.may.clone())
    }

    /// Who this is, and what it may do.
    pub(crate) fn person(&self, id: LoginId) -> Option<(String, May)> {
        let state = self.lock();
        let name = &state.logins.get(&id)?.name;
        Some((name.clone(), state.people.get(name)?.may.clone()))
    }

    /// What this sign-in may do.
    ///
    /// # Errors
    /// 401 `unauthorized` where it is over.
    pub(crate) fn of_session(&self, id: LoginId) -> Result<Access, Problem> {
        let state = self.lock();
        let login = state.logins.get(&id);
        let login = login.ok_or_else(|| Problem::unauthorized("you are signed out"))?;
        login.access.check()?;
        Ok(login.access.clone())
    }

    // ANCHOR: ticket
    /// A ticket: good for one stream or socket, and for some seconds.
    pub(crate) fn ticket(&self, login: LoginId) -> String {
        let ticket = draw();
        let until = Instant::now() + self.0.config.ticket;
        let mut state = self.lock();
        let open = |it: &Ticket| it.login == login;
        if state.tickets.values().filter(|it| open(it)).count() >= MAX_OPEN {
            state.tickets.retain(|_, it| !open(it));
        }
        let kept = Ticket { login, until };
        state.tickets.insert(Digest::of(&ticket), kept);
        ticket
    }

    /// Takes a ticket: whoever shows it again gets nothing.
    ///
    /// # Errors
    /// 401 `unauthorized`. It does not say why: whoever tries tickets learns no more.
    pub(crate) fn redeem(&self, ticket: &str) -> Result<(LoginId, Access), Problem> {
        let taken = self.lock().tickets.remove(&Digest::of(ticket));
        match taken {
            Some(Ticket { login, until }) if Instant::now() < until => {
                Ok((login, self.of_session(login)?))
            }
            _ => Err(Problem::unauthorized("this ticket is good for nothing")),
        }
    }
    // ANCHOR_END: ticket

    /// A token for the header `Authorization` or the first message of a socket: good
    /// for any number of requests, and for some minutes.
    pub(crate) fn token(&self, login: LoginId) -> Result<String, Problem> {
        let token = draw();
        let mut state = self.lock();
        let begun = state.logins.get(&login);
        let begun = begun.ok_or_else(|| Problem::unauthorized("you are signed out"))?;
        let until = begun.until.min(Instant::now() + self.0.config.token);
        let person = state.people.get(&begun.name).expect("nobody is removed");
        let access = Access::new(person.may.rights(), Some(until));
        let of_this = |it: &Token| it.login == login;
        if state.tokens.values().filter(|it| of_this(it)).count() >= MAX_OPEN {
            let detail = "this sign-in has too many tokens; they end by themselves";
            return Err(Problem::too_many(detail));
        }
        let kept = Token {
            login,
            access,
            until,
        };
        state.tokens.insert(Digest::of(&token), kept);
        Ok(token)
    }

    /// Who has this token.
    ///
    /// # Errors
    /// 401 `unauthorized`.
    pub(crate) fn bearer(&self, token: &str) -> Result<(LoginId, Access), Problem> {
        let state = self.lock();
        let found = state.tokens.get(&Digest::of(token));
        let found = found.filter(|token| Instant::now() < token.until);
        let found = found.ok_or_else(|| Problem::unauthorized("the token is over"))?;
        Ok((found.login, found.access.clone()))
    }

    /// Without what is over by itself.
    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.logins.retain(|_, login| now < login.until);
        state.tickets.retain(|_, ticket| now < ticket.until);
        state.tokens.retain(|_, token| now < token.until);
        state
    }
}
