//! A script as it is carried out.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::super::command::{Command, Request};
use super::super::config::UNEXPECTED_MAX;
use super::super::happening::What;
use super::super::link::{Link, Outcome};
use super::super::output::Output;
use super::super::text::shown;
use super::Line;
use super::pattern::{Patterns, Target, brief, is_expected, is_lifecycle};
use super::statement::{Action, Statement};

/// How long a line may take that says nothing about it. 5 s. Then it has failed.
const WITHIN: Duration = Duration::from_secs(5);

/// How long a command waits that found no room, before it is tried again: nobody tells when there is some.
const ROOM_AGAIN: Duration = Duration::from_millis(5);

/// So many of the things that came instead are told.
const INSTEAD_MAX: usize = 5;

/// A script under way.
pub(super) struct Run {
    link: Link,
    output: Output,
    /// What came and no expectation has looked at, in the order of each namespace; events and the connection's life apart,
    /// since these have no order that a script could rely on.
    waiting: HashMap<Queue, VecDeque<What>>,
    answered: Option<(u64, What)>,
    within: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Queue {
    namespace: Option<String>,
    is_lifecycle: bool,
}

/// Why a script did not hold.
pub(super) struct Failure {
    pub(super) line: Option<usize>,
    pub(super) message: String,
    pub(super) code: u8,
}

impl Run {
    pub(super) fn new(link: Link, output: Output) -> Self {
        Run { link, output, waiting: HashMap::new(), answered: None, within: WITHIN }
    }

    pub(super) fn into_parts(self) -> (Link, Output) {
        (self.link, self.output)
    }

    /// Carries out all lines.
    ///
    /// # Errors
    /// The first that does not hold.
    pub(super) async fn lines(&mut self, lines: &[Line]) -> Result<(), Failure> {
        for Line { number, text, statement } in lines {
            let told = self.output.tell(What::Step { line: *number, text: text.clone() });
            let outcome = match told {
                Ok(()) => self.step(statement).await,
                Err(error) => Err(unread(&error)),
            };
            outcome.map_err(|message| Failure::at(*number, format!("{text}: {message}")))?;
        }
        Ok(())
    }

    async fn step(&mut self, Statement { within, namespace, action }: &Statement) -> Result<(), String> {
        let within = within.unwrap_or(self.within);
        match action {
            Action::Within(time) => self.within = *time,
            Action::Wait(time) => {
                let deadline = Instant::now() + *time;
                while self.pump(deadline).await? {}
            }
            Action::Perform(command) => {
                let request = Request { namespace: namespace.clone(), command: command.clone() };
                self.perform(request, within).await?;
            }
            Action::Call { event, args, answer } => {
                let command = Command::Call { event: event.clone(), args: args.clone() };
                self.call(Request { namespace: namespace.clone(), command }, answer, within).await?;
            }
            Action::Expect { target, patterns, answer } => {
                let came = self.expect(namespace.as_ref(), target, patterns, within).await?;
                if let Some(args) = answer {
                    let What::Event { ack: Some(id), .. } = came else {
                        return Err("the event came, and asks for no acknowledgement".to_owned());
                    };
                    let command = Command::Acknowledge { id, args: args.clone() };
                    self.perform(Request { namespace: namespace.clone(), command }, within).await?;
                }
            }
            Action::ExpectNo { target, patterns, time } => {
                self.expect_no(namespace.as_ref(), target, patterns, *time).await?;
            }
        }
        Ok(())
    }

    /// Does something; what needs a connection waits for it.
    async fn perform(&mut self, request: Request, within: Duration) -> Result<Outcome, String> {
        let deadline = Instant::now() + within;
        let needs_connection = matches!(
            request.command,
            Command::Emit { .. } | Command::Call { .. } | Command::SendText(_) | Command::SendBytes(_)
        );
        while needs_connection && self.link.must_wait() {
            if !self.pump(deadline).await? {
                return Err(format!("not connected within {}", seconds(within)));
            }
        }
        let mut request = request;
        loop {
            match self.link.perform(request)? {
                Outcome::Busy(again) if Instant::now() < deadline => {
                    self.pump(Instant::now() + ROOM_AGAIN).await?;
                    request = again;
                }
                Outcome::Busy(_) => return Err("too much waits to be sent".to_owned()),
                Outcome::Told(text) => {
                    self.output.tell(What::Notice { text }).map_err(|error| unread(&error))?;
                    return Ok(Outcome::Done);
                }
                outcome => return Ok(outcome),
            }
        }
    }

    async fn call(&mut self, request: Request, expected: &Patterns, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        let Outcome::Called(call) = self.perform(request, within).await? else {
            return Err("this is no call".to_owned());
        };
        let answer = loop {
            match self.answered.take() {
                Some((answered, answer)) if answered == call => break answer,
                _ if !self.pump(deadline).await? => {
                    return Err(format!("no acknowledgement within {}", seconds(within)));
                }
                _ => {}
            }
        };
        match answer {
            What::Answer { args, .. } if expected.fit(&args) => Ok(()),
            What::Answer { args, .. } if args.is_empty() => Err("the acknowledgement has no arguments".to_owned()),
            What::Answer { args, .. } => Err(format!("the acknowledgement is {}", shown(&args))),
            What::NoAnswer { message, .. } => Err(format!("no acknowledgement: {message}")),
            other => Err(format!("no acknowledgement: {}", other.kind())),
        }
    }

    /// Waits for something; what comes before it is passed over.
    async fn expect(
        &mut self,
        namespace: Option<&String>,
        target: &Target,
        patterns: &Patterns,
        within: Duration,
    ) -> Result<What, String> {
        let deadline = Instant::now() + within;
        let queue = self.queue(namespace, target)?;
        let mut instead = VecDeque::new();
        loop {
            let waiting = self.waiting.entry(queue.clone()).or_default();
            while let Some(what) = waiting.pop_front() {
                if is_expected(&what, target, patterns) {
                    return Ok(what);
                }
                if instead.len() == INSTEAD_MAX {
                    instead.pop_front();
                }
                instead.push_back(brief(&what));
            }
            // What has ended brings nothing more.
            let reason = if self.link.is_over() {
                "nothing like it before the connection ended".to_owned()
            } else if self.pump(deadline).await? {
                continue;
            } else {
                format!("nothing like it within {}", seconds(within))
            };
            return Err(match instead.is_empty() {
                true => reason,
                false => format!("{reason}; instead came: {}", Vec::from(instead).join("; ")),
            });
        }
    }

    async fn expect_no(
        &mut self,
        namespace: Option<&String>,
        target: &Target,
        patterns: &Patterns,
        time: Duration,
    ) -> Result<(), String> {
        let deadline = Instant::now() + time;
        let queue = self.queue(namespace, target)?;
        loop {
            let waiting = self.waiting.entry(queue.clone()).or_default();
            if let Some(what) = waiting.iter().find(|what| is_expected(what, target, patterns)) {
                return Err(format!("it came: {}", brief(what)));
            }
            if !self.pump(deadline).await? {
                return Ok(());
            }
        }
    }

    /// Where to look for it. A namespace that is not there yet is connected to.
    fn queue(&mut self, namespace: Option<&String>, target: &Target) -> Result<Queue, String> {
        if let Some(name) = namespace {
            let before = self.link.current();
            self.link.perform(Request { namespace: Some(name.clone()), command: Command::Namespace })?;
            self.link.perform(Request { namespace: before, command: Command::Namespace })?;
        }
        let namespace = namespace.cloned().or_else(|| self.link.current());
        Ok(Queue { namespace, is_lifecycle: target.is_lifecycle() })
    }

    /// Lets one thing happen, and keeps it. False if nothing does before the deadline.
    async fn pump(&mut self, deadline: Instant) -> Result<bool, String> {
        let Ok(happening) = tokio::time::timeout_at(deadline, self.link.next()).await else { return Ok(false) };
        self.output.print(&happening).map_err(|error| unread(&error))?;
        match happening.what {
            answer @ (What::Answer { call, .. } | What::NoAnswer { call, .. }) => self.answered = Some((call, answer)),
            What::Lagged { count } => return Err(format!("{count} events came too fast and were left out")),
            what => {
                let queue = Queue { namespace: happening.namespace, is_lifecycle: is_lifecycle(&what) };
                let waiting = self.waiting.entry(queue).or_default();
                if waiting.len() >= UNEXPECTED_MAX {
                    return Err(format!("more than {UNEXPECTED_MAX} things came that nothing was expected of"));
                }
                waiting.push_back(what);
            }
        }
        Ok(true)
    }
}

fn unread(error: &io::Error) -> String {
    format!("standard output: {error}")
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
